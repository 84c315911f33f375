// A client of WebSocket, by coder/websocket: runs every case, and fails with the first that goes wrong.
//
//	client ws://ADDRESS NAME [HEADER VALUE [PREVIEW]]
//
// NAME is who must answer, HEADER goes with each request, PREVIEW is what must stand in x-byway-preview.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const mib = 1 << 20

var (
	base, name, preview string
	header              = http.Header{}
	ids                 atomic.Int64
	deadline, _         = context.WithTimeout(context.Background(), 2*time.Minute)
)

func main() {
	args := append(os.Args[1:], "", "", "")
	base, name, preview = args[0], args[1], args[4]
	if args[2] != "" {
		header.Set(args[2], args[3])
	}
	cases := []struct {
		name string
		run  func() error
	}{
		{"text and binary of every length", lengths},
		{"fragments of the client", fragmentsOut},
		{"fragments of the server", fragmentsIn},
		{"pings of the client, between fragments too", pingsOut},
		{"pings of the server", pingsIn},
		{"the client closes", closesOut},
		{"the server closes", closesIn},
		{"the client goes without a word", dropsOut},
		{"the server goes without a word", dropsIn},
		{"permessage-deflate, with a context and without", deflate},
		{"a subprotocol", subprotocol},
		{"both directions at once", duplex},
		{"a hundred connections at once", crowd},
	}
	for _, it := range cases {
		if err := it.run(); err != nil {
			fmt.Printf("FAILED %s: %v\n", it.name, err)
			os.Exit(1)
		}
		fmt.Printf("passed %s\n", it.name)
	}
}

type conn struct {
	*websocket.Conn
	id       string
	response *http.Response
}

// Connects, and checks who answers.
func open(path string, change ...func(*websocket.DialOptions)) (*conn, error) {
	id := fmt.Sprintf("%s-%d-%d", name, os.Getpid(), ids.Add(1))
	options := &websocket.DialOptions{HTTPHeader: header}
	for _, it := range change {
		it(options)
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	c, response, err := websocket.Dial(deadline, base+path+separator+"id="+id, options)
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(64 * mib)
	if got := response.Header.Get("x-byway-preview"); got != preview {
		return nil, fmt.Errorf("x-byway-preview is %q", got)
	}
	kind, first, err := c.Read(deadline)
	if err != nil || kind != websocket.MessageText || string(first) != name {
		return nil, fmt.Errorf("the first message is %v %q: %v", kind, first, err)
	}
	return &conn{c, id, response}, nil
}

// Sends a message, and wants it back.
func (c *conn) echo(kind websocket.MessageType, message []byte) error {
	if err := c.Write(deadline, kind, message); err != nil {
		return err
	}
	return c.expect(kind, message)
}

func (c *conn) expect(kind websocket.MessageType, message []byte) error {
	got, back, err := c.Read(deadline)
	if err != nil {
		return err
	}
	if got != kind || !bytes.Equal(back, message) {
		return fmt.Errorf("%d bytes of %v became %d of %v", len(message), kind, len(back), got)
	}
	return nil
}

// How the server saw the connection end.
func (c *conn) ended(want string) error {
	request, err := http.NewRequestWithContext(deadline, "GET", strings.Replace(base, "ws", "http", 1)+"/ends?id="+c.id, nil)
	if err != nil {
		return err
	}
	request.Header = header.Clone()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if want = name + " " + want; err != nil || string(got) != want {
		return fmt.Errorf("the server says %q, not %q: %v", got, want, err)
	}
	return nil
}

func (c *conn) bye() error {
	return c.Close(websocket.StatusNormalClosure, "")
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

func lengths() error {
	c, err := open("/echo")
	if err != nil {
		return err
	}
	for _, n := range []int{0, 1, 2, 125, 126, 127, 65535, 65536, 65537, mib, 0, 3 * mib} {
		if err := c.echo(websocket.MessageBinary, noise(n)); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		if err := c.echo(websocket.MessageText, bytes.Repeat([]byte("é"), n/2)); err != nil {
			return fmt.Errorf("%d bytes of text: %w", n, err)
		}
	}
	// Looks like the request of somebody else.
	fake := "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nx-byway-key: pr-1\r\n\r\n"
	if err := c.echo(websocket.MessageText, []byte(fake)); err != nil {
		return err
	}
	return c.bye()
}

// Every write of the library's writer is a frame.
func fragments(c *conn, message []byte, between func() error) error {
	w, err := c.Writer(deadline, websocket.MessageBinary)
	if err != nil {
		return err
	}
	for i := 0; i < 10; i++ {
		if _, err := w.Write(message[i*len(message)/10 : (i+1)*len(message)/10]); err != nil {
			return err
		}
		if err := between(); err != nil {
			return err
		}
	}
	return w.Close()
}

func fragmentsOut() error {
	c, err := open("/echo")
	if err != nil {
		return err
	}
	for _, n := range []int{5, 1000, mib} {
		pause := func() error { time.Sleep(time.Millisecond); return nil }
		if err := fragments(c, noise(n), pause); err != nil {
			return err
		}
		if err := c.expect(websocket.MessageBinary, noise(n)); err != nil {
			return err
		}
	}
	return c.bye()
}

func fragmentsIn() error {
	c, err := open("/fragments")
	if err != nil {
		return err
	}
	for _, n := range []int{99, 100, 101, 10_000, mib} {
		if err := c.echo(websocket.MessageBinary, noise(n)); err != nil {
			return err
		}
	}
	return c.bye()
}

func pingsOut() error {
	c, err := open("/echo")
	if err != nil {
		return err
	}
	for range 10 {
		// The pong is seen by whoever reads.
		read := make(chan error, 1)
		go func() { read <- c.expect(websocket.MessageBinary, noise(5000)) }()
		if err := fragments(c, noise(5000), func() error { return c.Ping(deadline) }); err != nil {
			return err
		}
		if err := <-read; err != nil {
			return err
		}
	}
	return c.bye()
}

func pingsIn() error {
	c, err := open("/pings")
	if err != nil {
		return err
	}
	if err := c.expect(websocket.MessageText, []byte("0123456789")); err != nil {
		return err
	}
	return c.bye()
}

func closesOut() error {
	for code, reason := range map[websocket.StatusCode]string{
		1000: "", 1001: "leaving", 1008: "policy", 1011: strings.Repeat("x", 120), 3000: "registered", 4999: "own",
	} {
		c, err := open("/echo")
		if err != nil {
			return err
		}
		if err := c.Close(code, reason); err != nil {
			return err
		}
		if err := c.ended(fmt.Sprintf("%d %s", code, reason)); err != nil {
			return err
		}
	}
	return nil
}

func closesIn() error {
	for code, reason := range map[websocket.StatusCode]string{1000: "", 1001: "leaving", 1011: "fault", 4000: "own"} {
		c, err := open(fmt.Sprintf("/close?code=%d&reason=%s", code, reason))
		if err != nil {
			return err
		}
		_, _, err = c.Read(deadline)
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != code || closed.Reason != reason {
			return fmt.Errorf("closed with %d: %v", code, err)
		}
		if err := c.ended(fmt.Sprintf("%d %s", code, reason)); err != nil {
			return err
		}
	}
	return nil
}

func dropsOut() error {
	c, err := open("/echo")
	if err != nil {
		return err
	}
	if err := c.echo(websocket.MessageText, []byte("before")); err != nil {
		return err
	}
	c.CloseNow()
	return c.ended("1006 unexpected EOF")
}

func dropsIn() error {
	c, err := open("/drop")
	if err != nil {
		return err
	}
	_, _, err = c.Read(deadline)
	if err == nil || websocket.CloseStatus(err) != -1 {
		return fmt.Errorf("no broken connection: %v", err)
	}
	return nil
}

func deflate() error {
	for _, mode := range []websocket.CompressionMode{
		websocket.CompressionNoContextTakeover, websocket.CompressionContextTakeover,
	} {
		c, err := open("/echo", func(o *websocket.DialOptions) { o.CompressionMode = mode })
		if err != nil {
			return err
		}
		if got := c.response.Header.Get("Sec-WebSocket-Extensions"); !strings.Contains(got, "permessage-deflate") {
			return fmt.Errorf("not agreed on: %q", got)
		}
		for range 3 {
			for _, n := range []int{0, 10, 600, 100_000, mib} {
				if err := c.echo(websocket.MessageText, bytes.Repeat([]byte("0123456789"), n/10)); err != nil {
					return err
				}
				if err := c.echo(websocket.MessageBinary, noise(n)); err != nil {
					return err
				}
			}
		}
		if err := c.bye(); err != nil {
			return err
		}
	}
	return nil
}

func subprotocol() error {
	c, err := open("/echo", func(o *websocket.DialOptions) { o.Subprotocols = []string{"other", "echo"} })
	if err != nil {
		return err
	}
	if got := c.Subprotocol(); got != "echo" {
		return fmt.Errorf("%q was agreed on", got)
	}
	return c.bye()
}

func duplex() error {
	c, err := open("/echo")
	if err != nil {
		return err
	}
	const messages = 200
	sent := make(chan error, 1)
	go func() {
		for n := range messages {
			if err := c.Write(deadline, websocket.MessageBinary, noise(n*500)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for n := range messages {
		if err := c.expect(websocket.MessageBinary, noise(n*500)); err != nil {
			return err
		}
	}
	if err := <-sent; err != nil {
		return err
	}
	return c.bye()
}

func crowd() error {
	var all sync.WaitGroup
	failed := make(chan error, 100)
	// The agent has no more than 32 connections wait, and leaves what comes beyond to the app.
	dials := make(chan struct{}, 10)
	for n := range 100 {
		all.Add(1)
		go func() {
			defer all.Done()
			dials <- struct{}{}
			c, err := open("/echo")
			<-dials
			for round := 0; err == nil && round < 20; round++ {
				err = c.echo(websocket.MessageText, fmt.Appendf(nil, "%d of %s", round, c.id))
				if err == nil {
					err = c.echo(websocket.MessageBinary, noise(n*round))
				}
			}
			if err == nil {
				err = c.bye()
			}
			if err != nil {
				failed <- err
			}
		}()
	}
	all.Wait()
	close(failed)
	return <-failed
}
