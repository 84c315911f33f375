// What an application on Go's own server can say: server ADDRESS:PORT
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

const chunks = "5\r\nhello\r\n0\r\n\r\n"

// Go writes no odd answer itself, but leaves the connection to a handler that wants to.
var raw = map[string]string{
	"/the-length-twice":        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"/a-tab-before-the-length": "HTTP/1.1 200 OK\r\nContent-Length:\t5\r\n\r\nhello",
	"/a-tab-before-chunked":    "HTTP/1.1 200 OK\r\nTransfer-Encoding:\tchunked\r\n\r\n" + chunks,
	"/both-lengths":            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
	"/bare-LFs":                "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	"/a-radio-station":         "ICY 200 OK\r\nicy-name: a\r\n\r\nhello",
	"/a-head-that-is-cut-off":  "HTTP/1.0 204 No Content\r\nX-Last: a\r\n",
	"/HTTP-1.2":                "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"/blanks-behind-a-chunk-size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"5  \r\nhello\r\n0\t\r\n\r\n",
}

func answer(w http.ResponseWriter, r *http.Request) {
	if said, ok := raw[r.URL.Path]; ok {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			log.Fatal(err)
		}
		defer connection.Close()
		fmt.Fprint(connection, said)
		return
	}
	switch r.URL.Path {
	case "/140-cookies":
		for i := range 140 {
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprintf("cookie-%d", i), Value: "value"})
		}
	case "/a-head-of-70-KiB":
		w.Header().Set("X-Long", strings.Repeat("a", 70<<10))
	}
	fmt.Fprint(w, "hello")
}

func main() {
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(answer)))
}
