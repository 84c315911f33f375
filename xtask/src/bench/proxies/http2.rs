//! What proxies of HTTP/2 are told: HTTP/2 on both sides, and the windows that the agent has.
//!
//! nginx speaks HTTP/2 with servers only by `grpc_pass`, one stream at a time on each connection.

use std::net::Ipv4Addr;

use super::super::settings::{APP_DIRECT_PORT, APP_PORT, KEY, SECOND_DIRECT_PORT, SECOND_PORT};
use super::PROXY_PORT;

/// What goes to the servers of gRPC.
const GRPC: &str = "/bench.Echo/";

pub(super) fn haproxy(preview: Ipv4Addr) -> String {
    format!(
        "global
             nbthread 2
             maxconn 4096
             tune.bufsize 65536
             tune.h2.initial-window-size 262144
         defaults
             mode http
             option http-no-delay
             http-reuse always
             timeout connect 5s
             timeout client 1h
             timeout server 1h
         frontend steered
             bind 0.0.0.0:{PROXY_PORT} proto h2 shards by-thread backlog 4096
             acl keyed req.hdr(x-byway-key) -m str {KEY}
             acl grpc path_beg {GRPC}
             use_backend grpc-preview if grpc keyed
             use_backend grpc if grpc
             use_backend preview if keyed
             default_backend app
         backend app
             server app 127.0.0.1:{APP_DIRECT_PORT} proto h2 pool-max-conn 128
         backend preview
             server preview {preview}:{APP_PORT} proto h2 pool-max-conn 128
         backend grpc
             server grpc 127.0.0.1:{SECOND_DIRECT_PORT} proto h2 pool-max-conn 128
         backend grpc-preview
             server grpc {preview}:{SECOND_PORT} proto h2 pool-max-conn 128
"
    )
}

/// The `http` section.
pub(super) fn nginx(preview: Ipv4Addr) -> String {
    let upstream = |name: &str, server: String| {
        format!(
            "upstream {name} {{ server {server}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 1h; }}"
        )
    };
    let upstreams = [
        upstream("app", format!("127.0.0.1:{APP_DIRECT_PORT}")),
        upstream("preview", format!("{preview}:{APP_PORT}")),
        upstream("grpc-app", format!("127.0.0.1:{SECOND_DIRECT_PORT}")),
        upstream("grpc-preview", format!("{preview}:{SECOND_PORT}")),
    ];
    format!(
        "keepalive_timeout 1h;
         keepalive_requests 1000000000;
         client_max_body_size 0;
         client_body_timeout 1h;
         {upstreams}
         map $http_x_byway_key $side {{ {KEY} preview; default app; }}
         grpc_buffer_size 64k;
         grpc_read_timeout 1h;
         grpc_send_timeout 1h;
         server {{
             listen {PROXY_PORT} http2 reuseport backlog=4096;
             location / {{ grpc_pass grpc://$side; }}
             location {GRPC} {{ grpc_pass grpc://grpc-$side; }}
         }}",
        upstreams = upstreams.join("\n         "),
    )
}

pub(super) fn envoy(preview: Ipv4Addr) -> String {
    // nginx takes 128 streams on a connection, and refuses what comes before it has said so.
    let options = "max_concurrent_streams: 128, initial_stream_window_size: 262144, initial_connection_window_size: 16777216";
    let route = |prefix: &str, keyed: bool, cluster: &str| {
        let key = if keyed {
            format!(", headers: [{{ name: x-byway-key, string_match: {{ exact: {KEY} }} }}]")
        } else {
            String::new()
        };
        format!(
            "- {{ match: {{ prefix: \"{prefix}\"{key} }}, route: {{ cluster: {cluster}, timeout: 0s }} }}"
        )
    };
    let routes = [
        route(GRPC, true, "grpc-preview"),
        route(GRPC, false, "grpc"),
        route("/", true, "preview"),
        route("/", false, "app"),
    ];
    // Its limits of 1024 requests at a time are for others to meet.
    let cluster = |name: &str, address: &str, port: u16| {
        format!(
            "- name: {name}
    type: STATIC
    circuit_breakers: {{ thresholds: [{{ max_connections: 65536, max_pending_requests: 65536, max_requests: 65536 }}] }}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{ {options} }} }}
    load_assignment:
      cluster_name: {name}
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: {address}, port_value: {port} }} }} }} }}] }}]"
        )
    };
    let preview = preview.to_string();
    let clusters = [
        cluster("app", "127.0.0.1", APP_DIRECT_PORT),
        cluster("preview", &preview, APP_PORT),
        cluster("grpc", "127.0.0.1", SECOND_DIRECT_PORT),
        cluster("grpc-preview", &preview, SECOND_PORT),
    ];
    format!(
        "static_resources:
  listeners:
  - name: steered
    address: {{ socket_address: {{ address: 0.0.0.0, port_value: {PROXY_PORT} }} }}
    tcp_backlog_size: 4096
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: steered
          codec_type: HTTP2
          http2_protocol_options: {{ {options} }}
          generate_request_id: false
          stream_idle_timeout: 0s
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              dynamic_stats: false
              suppress_envoy_headers: true
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              routes:
              {routes}
  clusters:
  {clusters}
",
        routes = routes.join("\n              "),
        clusters = clusters.join("\n  "),
    )
}
