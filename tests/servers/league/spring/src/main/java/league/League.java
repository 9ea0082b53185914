package league;

import java.io.IOException;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.context.ServletWebServerInitializedEvent;
import org.springframework.context.event.EventListener;
import org.springframework.messaging.simp.config.MessageBrokerRegistry;
import org.springframework.web.socket.CloseStatus;
import org.springframework.web.socket.TextMessage;
import org.springframework.web.socket.WebSocketHandler;
import org.springframework.web.socket.WebSocketSession;
import org.springframework.web.socket.config.annotation.EnableWebSocket;
import org.springframework.web.socket.config.annotation.EnableWebSocketMessageBroker;
import org.springframework.web.socket.config.annotation.SockJsServiceRegistration;
import org.springframework.web.socket.config.annotation.StompEndpointRegistry;
import org.springframework.web.socket.config.annotation.WebSocketConfigurer;
import org.springframework.web.socket.config.annotation.WebSocketHandlerRegistry;
import org.springframework.web.socket.config.annotation.WebSocketMessageBrokerConfigurer;
import org.springframework.web.socket.handler.TextWebSocketHandler;

/**
 * Spring's SockJS with the services that the protocol's tests ask for, and its simple broker at /stomp. Takes a port, or 0 for a free
 * one; prints "ready URL" and stays.
 */
@SpringBootApplication
@EnableWebSocket
@EnableWebSocketMessageBroker
public class League implements WebSocketConfigurer, WebSocketMessageBrokerConfigurer {

    private static final int SUITE_LIMIT = 4096;
    private static final CloseStatus GO_AWAY = new CloseStatus(3000, "Go away!");

    public static void main(String[] arguments) {
        var application = new SpringApplication(League.class);
        application.setDefaultProperties(Map.of(
            "server.address", "127.0.0.1",
            "server.port", arguments.length > 0 ? arguments[0] : "0",
            "logging.level.root", "off",
            "spring.main.banner-mode", "off"));
        application.run();
    }

    @EventListener
    public void listening(ServletWebServerInitializedEvent event) {
        System.out.println("ready http://127.0.0.1:" + event.getWebServer().getPort());
    }

    @Override
    public void registerWebSocketHandlers(WebSocketHandlerRegistry registry) {
        service(registry, new Echo(), "/echo").setStreamBytesLimit(SUITE_LIMIT).setSessionCookieNeeded(false);
        service(registry, new Echo(), "/disabled_websocket_echo").setStreamBytesLimit(SUITE_LIMIT).setSessionCookieNeeded(false)
            .setWebSocketEnabled(false);
        service(registry, new Echo(), "/cookie_needed_echo").setStreamBytesLimit(SUITE_LIMIT).setSessionCookieNeeded(true);
        service(registry, new Close(), "/close").setSessionCookieNeeded(false);
        service(registry, new Farewell(), "/farewell").setSessionCookieNeeded(false);
    }

    private static SockJsServiceRegistration service(WebSocketHandlerRegistry registry, WebSocketHandler handler, String path) {
        return registry.addHandler(handler, path).setAllowedOriginPatterns("*").withSockJS();
    }

    @Override
    public void registerStompEndpoints(StompEndpointRegistry registry) {
        registry.addEndpoint("/stomp").setAllowedOriginPatterns("*").withSockJS();
    }

    @Override
    public void configureMessageBroker(MessageBrokerRegistry registry) {
        registry.enableSimpleBroker("/topic", "/queue");
        registry.setApplicationDestinationPrefixes("/app");
    }

    static class Echo extends TextWebSocketHandler {
        @Override
        protected void handleTextMessage(WebSocketSession session, TextMessage message) throws IOException {
            session.sendMessage(message);
        }
    }

    static class Close extends TextWebSocketHandler {
        @Override
        public void afterConnectionEstablished(WebSocketSession session) throws IOException {
            session.close(GO_AWAY);
        }
    }

    /** Echoes, and closes after the echo of `bye`. */
    static class Farewell extends Echo {
        @Override
        protected void handleTextMessage(WebSocketSession session, TextMessage message) throws IOException {
            super.handleTextMessage(session, message);
            if (message.getPayload().equals("bye")) {
                session.close(GO_AWAY);
            }
        }
    }
}
