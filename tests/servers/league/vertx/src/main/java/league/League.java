package league;

import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.handler.BodyHandler;
import io.vertx.ext.web.handler.sockjs.SockJSHandler;
import io.vertx.ext.web.handler.sockjs.SockJSHandlerOptions;
import io.vertx.ext.web.handler.sockjs.SockJSSocket;
import java.util.logging.LogManager;

/**
 * The SockJS handler of Vert.x with the services that the protocol's tests ask for. Takes a port, or 0 for a free one; prints
 * "ready URL" and stays.
 */
public class League {

    private static final int SUITE_LIMIT = 4096;

    public static void main(String[] arguments) {
        LogManager.getLogManager().reset();
        var vertx = Vertx.vertx();
        var router = Router.router(vertx);
        // The SockJS handler does not read what is sent to it by itself.
        router.post().handler(BodyHandler.create(false));
        service(vertx, router, "/echo", limited(), League::echo);
        service(vertx, router, "/disabled_websocket_echo", limited().addDisabledTransport("WEBSOCKET"), League::echo);
        service(vertx, router, "/cookie_needed_echo", limited().setInsertJSESSIONID(true), League::echo);
        service(vertx, router, "/close", options(), League::close);
        service(vertx, router, "/farewell", options(), League::farewell);

        int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 0;
        vertx.createHttpServer()
            .requestHandler(router)
            .listen(port, "127.0.0.1")
            .onSuccess(server -> System.out.println("ready http://127.0.0.1:" + server.actualPort()))
            .onFailure(error -> {
                error.printStackTrace();
                System.exit(1);
            });
    }

    private static SockJSHandlerOptions options() {
        return new SockJSHandlerOptions().setInsertJSESSIONID(false);
    }

    private static SockJSHandlerOptions limited() {
        return options().setMaxBytesStreaming(SUITE_LIMIT);
    }

    private static void service(Vertx vertx, Router router, String path, SockJSHandlerOptions options, Handler<SockJSSocket> serve) {
        router.route(path + "*").subRouter(SockJSHandler.create(vertx, options).socketHandler(serve));
    }

    private static void echo(SockJSSocket socket) {
        // As a string: a buffer would go out as a binary message over a raw websocket.
        socket.handler(message -> socket.write(message.toString()));
    }

    private static void close(SockJSSocket socket) {
        socket.close(3000, "Go away!");
    }

    /** Echoes, and closes after the echo of `bye`. */
    private static void farewell(SockJSSocket socket) {
        socket.handler(message -> {
            socket.write(message.toString());
            if (message.toString().equals("bye")) {
                close(socket);
            }
        });
    }
}
