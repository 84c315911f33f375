// A server of WebSocket, by gorilla/websocket. On every connection it says its name first; then it does what the path
// says.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

var (
	name = os.Args[1]
	// How connections ended, by the id in their query.
	ends sync.Map
)

func main() {
	handle("/echo", 0, echo)
	// A frame is as long as the buffer, so these are fragments.
	handle("/fragments", 100, echo)
	handle("/pings", 0, pings)
	handle("/close", 0, closes)
	handle("/drop", 0, func(c *websocket.Conn, r *http.Request) error { return nil })
	http.HandleFunc("/ends", func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("id")
		for range 200 {
			if end, ok := ends.Load(id); ok {
				fmt.Fprintf(w, "%s %s", name, end)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		fmt.Fprintf(w, "%s open", name)
	})
	if err := http.ListenAndServe(os.Args[2], nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func handle(path string, buffer int, serve func(*websocket.Conn, *http.Request) error) {
	upgrader := websocket.Upgrader{
		WriteBufferSize:   buffer,
		Subprotocols:      []string{"echo"},
		EnableCompression: true,
	}
	http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // it has answered
		}
		defer c.Close()
		err = c.WriteMessage(websocket.TextMessage, []byte(name))
		if err == nil {
			err = serve(c, r)
		}
		end := "broken"
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			end = fmt.Sprintf("%d %s", closed.Code, closed.Text)
		}
		ends.Store(r.URL.Query().Get("id"), end)
	})
}

// Sends back what comes, piece by piece.
func echo(c *websocket.Conn, _ *http.Request) error {
	for {
		kind, from, err := c.NextReader()
		if err != nil {
			return err
		}
		to, err := c.NextWriter(kind)
		if err != nil {
			return err
		}
		if _, err := io.Copy(to, from); err != nil {
			return err
		}
		if err := to.Close(); err != nil {
			return err
		}
	}
}

// Sends ten pings, and says which were answered.
func pings(c *websocket.Conn, _ *http.Request) error {
	answered := ""
	c.SetPongHandler(func(payload string) error {
		answered += payload
		if len(answered) == 10 {
			return c.WriteMessage(websocket.TextMessage, []byte(answered))
		}
		return nil
	})
	for n := range 10 {
		if err := c.WriteControl(websocket.PingMessage, []byte(strconv.Itoa(n)), time.Now().Add(time.Minute)); err != nil {
			return err
		}
	}
	_, _, err := c.ReadMessage()
	return err
}

// Closes with the code and reason of the query, and waits for the answer.
func closes(c *websocket.Conn, r *http.Request) error {
	code, _ := strconv.Atoi(r.URL.Query().Get("code"))
	frame := websocket.FormatCloseMessage(code, r.URL.Query().Get("reason"))
	if err := c.WriteControl(websocket.CloseMessage, frame, time.Now().Add(time.Minute)); err != nil {
		return err
	}
	_, _, err := c.ReadMessage()
	return err
}
