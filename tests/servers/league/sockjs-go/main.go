// The Go module sockjs-go with the services that the protocol's tests ask for.
//
//	league [PORT]      prints "ready URL" and stays; without a port, or with 0, a free one is taken
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/igm/sockjs-go/v3/sockjs"
)

func echo(session sockjs.Session) {
	for {
		message, err := session.Recv()
		if err != nil || session.Send(message) != nil {
			return
		}
	}
}

func goAway(session sockjs.Session) {
	_ = session.Close(3000, "Go away!")
}

// Echoes, and closes after the echo of `bye`.
func farewell(session sockjs.Session) {
	for {
		message, err := session.Recv()
		if err != nil || session.Send(message) != nil {
			return
		}
		if message == "bye" {
			goAway(session)
			return
		}
	}
}

// Handlers by their prefix. The mux of net/http would redirect paths with empty segments before the library sees them.
type services map[string]http.Handler

func (all services) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	prefix, _, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
	if service, found := all["/"+prefix]; found {
		service.ServeHTTP(response, request)
	} else {
		http.NotFound(response, request)
	}
}

func main() {
	port := "0"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}

	options := sockjs.DefaultOptions
	options.RawWebsocket = true
	limited := options
	limited.ResponseLimit = 4096
	withoutWebsocket := limited
	withoutWebsocket.Websocket = false
	withoutWebsocket.RawWebsocket = false
	withCookie := limited
	withCookie.JSessionID = sockjs.DefaultJSessionID

	all := services{}
	service := func(prefix string, options sockjs.Options, serve func(sockjs.Session)) {
		all[prefix] = sockjs.NewHandler(prefix, options, serve)
	}
	service("/echo", limited, echo)
	service("/disabled_websocket_echo", withoutWebsocket, echo)
	service("/cookie_needed_echo", withCookie, echo)
	service("/close", options, goAway)
	service("/farewell", options, farewell)

	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ready http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, all))
}
