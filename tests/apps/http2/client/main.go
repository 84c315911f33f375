// A client of Go's, of HTTP/1.1 or HTTP/2 without TLS: asks the server beside it in all ways at once until its time is
// over, and says what did not come back as it should. Every other request carries the key.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	app, preview = "APP", "PREVIEW"
	uploaded     = 50_000
	downloaded   = 1_000_000
)

var (
	client      http.Client
	url, key    string
	done, wrong atomic.Int64
)

func main() {
	url, key = os.Args[2], os.Args[3]
	seconds, _ := strconv.Atoi(os.Args[4])
	protocols := new(http.Protocols)
	protocols.SetHTTP1(os.Args[1] == "1")
	protocols.SetUnencryptedHTTP2(os.Args[1] == "2")
	client.Transport = &http.Transport{Protocols: protocols, MaxIdleConnsPerHost: 8}
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	var all sync.WaitGroup
	for n, ask := range []func(keyed bool) error{unary, unary, upload, download, stream, stream} {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := n; time.Now().Before(until); i++ {
				if err := ask(i%2 == 0); err != nil {
					wrong.Add(1)
					fmt.Printf("%s way %d: %v\n", time.Now().Format("05.000"), n, err)
				}
				done.Add(1)
				time.Sleep(5 * time.Millisecond)
			}
		}()
	}
	all.Wait()
	fmt.Printf("done %d wrong %d\n", done.Load(), wrong.Load())
	if wrong.Load() > 0 {
		os.Exit(1)
	}
}

func unary(keyed bool) error { return says(keyed, "GET", "/", nil, name(keyed)+" ") }

func upload(keyed bool) error {
	body := bytes.NewReader(make([]byte, uploaded))
	return says(keyed, "POST", "/count", body, fmt.Sprintf("%s %d", name(keyed), uploaded))
}

// says is nothing if the answer begins so.
func says(keyed bool, method, path string, body io.Reader, wanted string) error {
	response, err := do(keyed, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err == nil && !strings.HasPrefix(string(got), wanted) {
		err = fmt.Errorf("%s %s: %q instead of %q", method, path, got, wanted)
	}
	return err
}

// download is read slowly.
func download(keyed bool) error {
	response, err := do(keyed, "GET", fmt.Sprintf("/bytes?%d", downloaded), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var total int64
	for err == nil {
		var n int64
		n, err = io.CopyN(io.Discard, response.Body, downloaded/20)
		total += n
		time.Sleep(50 * time.Millisecond)
	}
	if err == io.EOF && total == downloaded {
		return nil
	}
	return fmt.Errorf("%d of %d bytes came: %w", total, downloaded, err)
}

// stream goes both ways for longer than an agent takes to take over.
func stream(keyed bool) error {
	body, to := io.Pipe()
	defer to.Close()
	response, err := do(keyed, "POST", "/echo", body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for i := range 30 {
		said := fmt.Appendf(nil, "%04d", i)
		if _, err := to.Write(said); err != nil {
			return err
		}
		heard := make([]byte, len(said))
		if _, err := io.ReadFull(response.Body, heard); err != nil || !bytes.Equal(said, heard) {
			return fmt.Errorf("%q came back as %q: %w", said, heard, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	to.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func do(keyed bool, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequest(method, url+path, body)
	if err != nil {
		return nil, err
	}
	if keyed {
		request.Header.Set("x-byway-key", key)
	}
	response, err := client.Do(request)
	if err == nil && (response.Header.Get("x-byway-preview") != "") != keyed {
		err = fmt.Errorf("%s %s: keyed %v, and answered by %q", method, path, keyed, response.Header.Get("x-byway-preview"))
	}
	return response, err
}

func name(keyed bool) string {
	if keyed {
		return preview
	}
	return app
}
