//! The lines that mend what was found: nginx, HAProxy, Apache httpd, Squid, and words where the place differs.
//!
//! Does not know: what was found.

/// What to write where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    /// Where it belongs: `nginx`, `HAProxy`, `Apache httpd`, `Squid`, `towpath` or `anything else`.
    pub place: &'static str,
    /// The lines.
    pub lines: &'static str,
}

const fn nginx(lines: &'static str) -> Lines {
    Lines { place: "nginx", lines }
}

const fn haproxy(lines: &'static str) -> Lines {
    Lines { place: "HAProxy", lines }
}

const fn apache(lines: &'static str) -> Lines {
    Lines { place: "Apache httpd", lines }
}

const fn squid(lines: &'static str) -> Lines {
    Lines { place: "Squid", lines }
}

const fn towpath(lines: &'static str) -> Lines {
    Lines { place: "towpath", lines }
}

const fn otherwise(lines: &'static str) -> Lines {
    Lines { place: "anything else", lines }
}

pub(super) static ADDRESS: &[Lines] = &[
    nginx("listen 443 ssl;\nlisten [::]:443 ssl;"),
    haproxy("bind :::443 v4v6 ssl crt /etc/haproxy/certs/"),
    apache("Listen 443\nListen [::]:443"),
    otherwise("Take the address out of DNS, or let the server listen on it and the firewall let it through."),
];

pub(super) static CHAIN: &[Lines] = &[
    nginx(
        "# the server's certificate first, the intermediate ones behind it\nssl_certificate     /etc/ssl/{host}/fullchain.pem;\nssl_certificate_key /etc/ssl/{host}/privkey.pem;",
    ),
    haproxy(
        "# key, certificate and intermediate certificates in one file\nbind :443 ssl crt /etc/haproxy/certs/{host}.pem",
    ),
    apache("SSLCertificateFile    /etc/ssl/{host}/fullchain.pem\nSSLCertificateKeyFile /etc/ssl/{host}/privkey.pem"),
    otherwise(
        "The certificate must name {host} and lead to an authority that browsers know. A private authority must be installed on this machine to be trusted here.",
    ),
];

pub(super) static RENEW: &[Lines] = &[
    nginx("# after the renewal\nnginx -s reload"),
    haproxy("# after the renewal\nsystemctl reload haproxy"),
    apache("# after the renewal\napachectl graceful"),
    otherwise(
        "Renew the certificate, and let the renewal reload whatever ends TLS: a running proxy keeps the old one.",
    ),
];

pub(super) static TLS: &[Lines] = &[
    nginx("listen 443 ssl;"),
    haproxy("bind :443 ssl crt /etc/haproxy/certs/{host}.pem"),
    apache("SSLEngine on"),
    otherwise("Or write http:// if that is what is spoken there."),
];

pub(super) static BACKEND: &[Lines] = &[
    nginx("location {path}/ {\n    proxy_pass http://127.0.0.1:8080;   # where the server really listens\n}"),
    haproxy("server one 127.0.0.1:8080 check   # where the server really listens"),
    apache("ProxyPass \"{path}/\" \"http://127.0.0.1:8080{path}/\""),
    otherwise("See whether the server runs, and ask it directly: towpath doctor http://127.0.0.1:8080{path}"),
];

pub(super) static REDIRECT: &[Lines] = &[
    nginx(
        "# a location with a slash at its end redirects what has none; proxy_pass without a path keeps the path\nlocation {path} {\n    proxy_pass http://127.0.0.1:8080;\n}",
    ),
    haproxy("http-request redirect scheme https unless { ssl_fc } || { path_beg {path}/ }"),
    apache("ProxyPass \"{path}\" \"http://127.0.0.1:8080{path}\""),
    otherwise("Or give clients the URL that the redirect names."),
];

pub(super) static LOGIN: &[Lines] = &[
    nginx("location {path}/ {\n    auth_basic off;\n    auth_request off;\n}"),
    haproxy("http-request auth unless { path_beg {path}/ }"),
    apache("<Location \"{path}/\">\n    Require all granted\n</Location>"),
    otherwise("Let the service itself check who connects, by a cookie or by what stands in CONNECT."),
];

pub(super) static PATH: &[Lines] = &[
    nginx(
        "# no path behind the port: with one, {path} would be replaced by it\nlocation {path}/ {\n    proxy_pass http://127.0.0.1:8080;\n}",
    ),
    haproxy("use_backend realtime if { path_beg {path}/ }"),
    apache("ProxyPass \"{path}/\" \"http://127.0.0.1:8080{path}/\""),
    otherwise("The URL must be that of the SockJS service itself, which greets with: Welcome to SockJS!"),
];

pub(super) static SLOW: &[Lines] = &[
    nginx(
        "upstream realtime {\n    server 127.0.0.1:8080;\n    keepalive 32;\n}\n# and where it is used\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";",
    ),
    haproxy("http-reuse safe"),
    apache("ProxyPass \"{path}/\" \"http://127.0.0.1:8080{path}/\" keepalive=On"),
    otherwise(
        "Look whether the server is far away or busy; nothing slow belongs before the answer to /info or before the open frame.",
    ),
];

pub(super) static CACHE: &[Lines] = &[
    nginx(
        "location {path}/ {\n    proxy_cache off;\n    # and neither of these there\n    # proxy_ignore_headers Cache-Control Expires;\n    # expires 1h;\n}",
    ),
    haproxy(
        "# requests of {path}/ in a backend without http-request cache-use and http-response cache-store\nuse_backend realtime if { path_beg {path}/ }",
    ),
    apache("CacheDisable \"{path}/\"\n<Location \"{path}/\">\n    ExpiresActive Off\n</Location>"),
    squid("acl realtime urlpath_regex ^{path}/\ncache deny realtime"),
];

pub(super) static KEEP_ALIVE: &[Lines] = &[
    nginx("keepalive_timeout 75s;\n# towards the server\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";"),
    haproxy("option http-keep-alive   # and not: option httpclose"),
    apache("KeepAlive On\nKeepAliveTimeout 75\n# and not: SetEnv downgrade-1.0, SetEnv nokeepalive"),
    squid("client_persistent_connections on"),
];

pub(super) static CORS: &[Lines] = &[
    nginx(
        "# the server writes them itself; take out, in location {path}/ { } and above it: add_header Access-Control-...\n# and let OPTIONS through to it: no return 204",
    ),
    haproxy("# take out: http-response set-header / add-header Access-Control-Allow-..."),
    apache("<Location \"{path}/\">\n    # take out: Header set / add Access-Control-Allow-...\n</Location>"),
    towpath("allowed_origins = [\"https://www.example.com\"]   # the origins of the pages, in [[endpoint]]"),
];

pub(super) static HOST: &[Lines] = &[
    nginx("proxy_set_header Host $http_host;"),
    haproxy("# take out: http-request set-header Host ..."),
    apache("ProxyPreserveHost On"),
    squid("# take out: cache_peer ... forceddomain=..."),
    towpath("allowed_origins = [\"{origin}\"]   # or name the origin, in [[endpoint]]"),
];

pub(super) static STICKY: &[Lines] = &[
    nginx(
        "# by the session's own part of the URL\nmap $uri $sockjs_session {\n    ~^{path}/[^/]+/(?<id>[^/]+)/  $id;\n    default                       $remote_addr;\n}\nupstream realtime {\n    hash $sockjs_session consistent;\n    server 10.0.0.1:8080;\n    server 10.0.0.2:8080;\n}",
    ),
    haproxy(
        "backend realtime\n    # by a cookie ...\n    cookie SERVERID insert indirect nocache\n    server one 10.0.0.1:8080 cookie one check\n    server two 10.0.0.2:8080 cookie two check\n    # ... or without cookies, by the session's own part of the URL\n    # balance hash path,field({field},/)   # HAProxy 2.6 and later",
    ),
    apache(
        "Header add Set-Cookie \"ROUTE=.%{BALANCER_WORKER_ROUTE}e; path=/\" env=BALANCER_ROUTE_CHANGED\n<Proxy \"balancer://realtime\">\n    BalancerMember \"http://10.0.0.1:8080\" route=1\n    BalancerMember \"http://10.0.0.2:8080\" route=2\n    ProxySet stickysession=ROUTE\n</Proxy>",
    ),
    squid(
        "# by the client's address\ncache_peer 10.0.0.1 parent 8080 0 no-query originserver sourcehash\ncache_peer 10.0.0.2 parent 8080 0 no-query originserver sourcehash",
    ),
];

pub(super) static UPGRADE: &[Lines] = &[
    nginx(
        "# in http { }\nmap $http_upgrade $connection_upgrade {\n    default upgrade;\n    ''      '';\n}\n# in location {path}/ { }\nproxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $connection_upgrade;",
    ),
    haproxy(
        "# upgrades pass by themselves in mode http; take out: http-request del-header Upgrade, option httpclose\ntimeout tunnel 1h",
    ),
    apache("# 2.4.47 and later\nProxyPass \"{path}/\" \"http://127.0.0.1:8080{path}/\" upgrade=websocket"),
    squid("# Squid 5 and later\nhttp_upgrade_request_protocols websocket allow all"),
    otherwise(
        "Load balancers in the cloud need a listener of HTTP, not of HTTP/2 alone, and some a switch for websockets.",
    ),
];

pub(super) static METHODS: &[Lines] = &[
    nginx(
        "location {path}/ {\n    # GET, POST and OPTIONS must pass; no limit_except GET\n    proxy_pass http://127.0.0.1:8080;\n}",
    ),
    haproxy("http-request deny unless METH_GET or METH_POST or METH_OPTIONS"),
    apache("<Location \"{path}/\">\n    # no <LimitExcept GET>\n    Require all granted\n</Location>"),
    otherwise(
        "Firewalls for web applications refuse bodies and paths that they do not know: except {path}/ from their rules.",
    ),
];

pub(super) static BUFFERING: &[Lines] = &[
    nginx(
        "# in location {path}/ { }\nproxy_buffering off;\nproxy_cache off;\ngzip off;\nproxy_http_version 1.1;\n# or leave buffering on, and heed the server's X-Accel-Buffering: take out proxy_ignore_headers X-Accel-Buffering",
    ),
    haproxy("option http-no-delay\n# take out: filter compression, option http-buffer-request"),
    apache(
        "ProxyPass \"{path}/\" \"http://127.0.0.1:8080{path}/\" flushpackets=on\nSetEnvIf Request_URI \"^{path}/\" no-gzip",
    ),
    squid(
        "# no virus scanner and no adaptation there\nacl realtime urlpath_regex ^{path}/\nadaptation_access NAME deny realtime",
    ),
    otherwise("Virus scanners and CDNs collect an answer before they pass it on: except {path}/ from both."),
];

pub(super) static COMPRESSION: &[Lines] = &[
    nginx("# in location {path}/ { }\ngzip off;   # and no sub_filter, no add_before_body, no types { } there"),
    haproxy("# take out: filter compression, compression algo, compression type"),
    apache("SetEnvIf Request_URI \"^{path}/\" no-gzip no-brotli\n# and no AddOutputFilterByType there"),
    otherwise("CDNs: switch compression and page optimisation off for {path}/."),
];

pub(super) static BODY: &[Lines] = &[
    nginx("client_max_body_size 4m;"),
    haproxy("# take out: http-request deny if { req.body_size gt ... }"),
    apache("LimitRequestBody 4194304"),
    squid("request_body_max_size 4 MB"),
    towpath("max_body = \"4MiB\"   # in [[endpoint]]"),
];

pub(super) static IDLE: &[Lines] = &[
    nginx("# in location {path}/ { }\nproxy_read_timeout 1h;\nproxy_send_timeout 1h;"),
    haproxy("timeout client 1m\ntimeout server 1m\ntimeout tunnel 1h"),
    apache(
        "ProxyPass \"{path}/\" \"http://127.0.0.1:8080{path}/\" timeout=3600\n# with mod_reqtimeout: RequestReadTimeout header=20-40,MinRate=500",
    ),
    squid("read_timeout 1 hour\nrequest_timeout 1 hour\nclient_lifetime 1 day"),
    towpath("heartbeat = \"{beat}\"   # in [[endpoint]]: shorter than what was seen"),
];

pub(super) static LIFE: &[Lines] = &[
    nginx(
        "# each reload ends the old workers after this; without it they stay as long as their connections\n# worker_shutdown_timeout 10s;",
    ),
    haproxy("# each reload ends the old process after this\nhard-stop-after 1d"),
    apache("ProxyPass \"{path}/\" \"http://127.0.0.1:8080{path}/\" upgrade=websocket timeout=3600"),
    squid("client_lifetime 1 day"),
    otherwise(
        "Load balancers in the cloud bound the life of a connection, some at 30 s or 60 s: raise it for {path}/.",
    ),
];
