// An ordinary server: says its name and whom it sees, and sends bodies back. Go listens with MPTCP by default.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	name, address := os.Args[1], os.Args[2]
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				panic(err)
			}
			w.Write(body)
			return
		}
		fmt.Fprintf(w, "%s %s", name, r.RemoteAddr)
	})
	panic(http.ListenAndServe(address, nil))
}
