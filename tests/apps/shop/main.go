// A service of a shop, and its client, for the tests on real nodes.
//
//	shop serve NAME VERSION       HTTP on 8080 and HTTPS on 8443: / says who answers, /call?url=U what U answers
//	shop get URL HEADER           asks once
//	shop load URL HEADER CLIENTS  asks over kept connections until its standard input ends, then says what came of it
//	shop pool URL HEADER          asks for each line of its standard input, over one kept connection if it can: ANSWER kept|new
//	shop late LISTEN TO DELAY     carries connections to TO; what comes back is DELAY late
//
// The version "-" is what the file /version says. HEADER is "name: value", a key for the header baggage, or "-" for none.
package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "serve":
		serve(os.Args[2], version(os.Args[3]))
	case len(os.Args) == 4 && os.Args[1] == "get":
		get(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == "load":
		load(os.Args[2], os.Args[3], os.Args[4])
	case len(os.Args) == 4 && os.Args[1] == "pool":
		pool(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == "late":
		late(os.Args[2], os.Args[3], os.Args[4])
	default:
		log.Fatal("shop serve NAME VERSION | shop get URL HEADER | shop load URL HEADER CLIENTS | shop pool URL HEADER | shop late LISTEN TO DELAY")
	}
}

func version(given string) string {
	if given != "-" {
		return given
	}
	text, err := os.ReadFile("/version")
	if err != nil {
		log.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func get(url, header string) {
	answer, err := ask(&http.Client{Timeout: 10 * time.Second}, url, header)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer)
}

func serve(name, version string) {
	// No header of a request is passed on: what keys a call from here is its origin.
	outside := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s\n", name, version)
	})
	mux.HandleFunc("/call", func(w http.ResponseWriter, r *http.Request) {
		answer, err := outside.Get(r.URL.Query().Get("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		fmt.Fprintf(w, "%s %s called ", name, version)
		io.Copy(w, answer.Body)
	})
	plain := &http.Server{Addr: ":8080", Handler: mux}
	secret := &http.Server{Addr: ":8443", Handler: mux, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{selfSigned()},
		NextProtos:   []string{"http/1.1"},
	}}
	go func() { log.Println(plain.ListenAndServe()) }()
	go func() { log.Println(secret.ListenAndServeTLS("", "")) }()
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	<-told
	patience, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	plain.Shutdown(patience)
	secret.Shutdown(patience)
}

func selfSigned() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "shop"},
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Outcome is what the test reads.
type Outcome struct {
	Answered map[string]int `json:"answered"`
	// From the first such answer to the last, in milliseconds.
	Spans  map[string]int64 `json:"spans"`
	Failed []string         `json:"failed"`
}

func load(url, header, clients string) {
	count, err := strconv.Atoi(clients)
	if err != nil {
		log.Fatal(err)
	}
	outcome := Outcome{Answered: map[string]int{}, Spans: map[string]int64{}, Failed: []string{}}
	first := map[string]time.Time{}
	var lock sync.Mutex
	var all sync.WaitGroup
	stop := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	for range count {
		all.Add(1)
		go func() {
			defer all.Done()
			// Connections of its own, kept for a while and then made anew, as gateways do.
			client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if n%50 == 49 {
					client.CloseIdleConnections()
				}
				who, err := ask(client, url, header)
				lock.Lock()
				if err != nil {
					outcome.Failed = append(outcome.Failed, err.Error())
				} else {
					if outcome.Answered[who] == 0 {
						first[who] = time.Now()
					}
					outcome.Answered[who]++
					outcome.Spans[who] = time.Since(first[who]).Milliseconds()
				}
				lock.Unlock()
				time.Sleep(2 * time.Millisecond)
			}
		}()
	}
	all.Wait()
	json.NewEncoder(os.Stdout).Encode(outcome)
}

func pool(url, header string) {
	client := &http.Client{Timeout: 10 * time.Second}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		connection := "new"
		watched := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
			GotConn: func(got httptrace.GotConnInfo) {
				if got.Reused {
					connection = "kept"
				}
			},
		})
		answer, err := askWith(watched, client, url, header)
		if err != nil {
			answer = "failed: " + err.Error()
		}
		fmt.Println(answer, connection)
	}
}

func ask(client *http.Client, url, header string) (string, error) {
	return askWith(context.Background(), client, url, header)
}

func askWith(ctx context.Context, client *http.Client, url, header string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return "", err
	}
	if name, value, found := strings.Cut(header, ": "); found {
		request.Header.Set(name, value)
	} else if header != "-" {
		request.Header.Set("baggage", "byway-key="+header)
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%d: %s", answer.StatusCode, body)
	}
	return strings.TrimSpace(string(body)), nil
}

func late(listen, to, delay string) {
	wait, err := time.ParseDuration(delay)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go carry(client, to, wait)
	}
}

func carry(client net.Conn, to string, wait time.Duration) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(server, client)
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			bytes := make([]byte, 64<<10)
			n, err := server.Read(bytes)
			if n > 0 {
				pieces <- piece{bytes[:n], time.Now().Add(wait)}
			}
			if err != nil {
				return
			}
		}
	}()
	for piece := range pieces {
		time.Sleep(time.Until(piece.due))
		if _, err := client.Write(piece.bytes); err != nil {
			return
		}
	}
}
