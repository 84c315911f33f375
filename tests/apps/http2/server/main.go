// A server of HTTP/1.1 and HTTP/2 on one port, without TLS: says its name and whom it sees, and does what the path says.
// `server NAME ADDRESS upgrade` takes offers to go on in HTTP/2, too (RFC 7540, 3.2).
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

func main() {
	name, address := os.Args[1], os.Args[2]
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			echo(w, r)
			return
		}
		fmt.Fprintf(w, "%s %s %s", name, r.RemoteAddr, r.Proto)
	})
	// As many bytes as the query says.
	http.HandleFunc("/bytes", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.URL.RawQuery, 10, 64)
		block := make([]byte, 64<<10)
		for n > 0 {
			k := min(n, int64(len(block)))
			if _, err := w.Write(block[:k]); err != nil {
				return
			}
			n -= k
		}
	})
	// How many bytes came.
	http.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %d", name, n)
	})
	http.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("trailer", "x-after")
		io.Copy(w, r.Body)
		w.Header().Set("x-after", name+r.Trailer.Get("x-before"))
	})
	http.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprintf(w, "%s", name)
	})
	// Answers before the request has ended, and does not want the rest.
	http.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "%s says no", name)
	})
	http.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) {
		panic(http.ErrAbortHandler)
	})
	// Waits until the client gives up.
	http.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			fmt.Println("given up")
		case <-time.After(time.Minute):
		}
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := http.Server{Addr: address, Protocols: protocols, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 250}}
	if len(os.Args) > 3 {
		server = http.Server{Addr: address, Handler: h2c.NewHandler(http.DefaultServeMux, &http2.Server{})}
	}
	panic(server.ListenAndServe())
}

// echo sends back what comes while it comes.
func echo(w http.ResponseWriter, r *http.Request) {
	flow := http.NewResponseController(w)
	flow.EnableFullDuplex()
	flow.Flush()
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return
			}
			flow.Flush()
		}
		if err != nil {
			return
		}
	}
}
