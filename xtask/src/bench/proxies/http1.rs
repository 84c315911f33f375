//! What proxies of HTTP/1.1 are told.

use std::net::Ipv4Addr;

use super::super::settings::{APP_DIRECT_PORT, APP_PORT, KEY, SECOND_DIRECT_PORT};
use super::PROXY_PORT;

pub(super) fn haproxy(preview: Ipv4Addr) -> String {
    format!(
        "global
             nbthread 2
             maxconn 4096
             tune.bufsize 65536
         defaults
             mode http
             option splice-auto
             option http-no-delay
             http-reuse always
             timeout connect 5s
             timeout client 1h
             timeout server 1h
             timeout http-keep-alive 1h
         frontend steered
             bind 0.0.0.0:{PROXY_PORT} shards by-thread backlog 4096
             acl keyed req.hdr(x-byway-key) -m str {KEY}
             use_backend sink if {{ path /sink }}
             use_backend preview if keyed
             default_backend app
         backend app
             server app 127.0.0.1:{APP_DIRECT_PORT} pool-max-conn 128
         backend preview
             server preview {preview}:{APP_PORT} pool-max-conn 128
         backend sink
             server sink 127.0.0.1:{SECOND_DIRECT_PORT}
"
    )
}

/// The `http` section.
pub(super) fn nginx(preview: Ipv4Addr) -> String {
    format!(
        "keepalive_timeout 1h;
         keepalive_requests 1000000000;
         client_max_body_size 0;
         upstream app {{ server 127.0.0.1:{APP_DIRECT_PORT}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 1h; }}
         upstream preview {{ server {preview}:{APP_PORT}; keepalive 128; keepalive_requests 1000000000; keepalive_timeout 1h; }}
         upstream sink {{ server 127.0.0.1:{SECOND_DIRECT_PORT}; keepalive 128; }}
         map $http_x_byway_key $side {{ {KEY} preview; default app; }}
         proxy_http_version 1.1;
         proxy_set_header Connection \"\";
         proxy_set_header Host $http_host;
         proxy_request_buffering off;
         proxy_max_temp_file_size 0;
         proxy_buffer_size 16k;
         proxy_buffers 16 64k;
         proxy_busy_buffers_size 256k;
         server {{
             listen {PROXY_PORT} reuseport backlog=4096;
             location / {{ proxy_pass http://$side; }}
             location = /sink {{ proxy_pass http://sink; }}
         }}"
    )
}
