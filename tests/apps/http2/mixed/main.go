// gRPC's interoperability cases with and without a key on one channel, in turn and at once: each call that is answered
// is checked for who answered it. Its arguments are the server's address, a header's name and value, and the rounds.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testing "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

type call = func(context.Context, testing.TestServiceClient, ...grpc.CallOption)

var cases = []call{
	interop.DoEmptyUnaryCall, interop.DoLargeUnaryCall, interop.DoClientStreaming, interop.DoServerStreaming,
	interop.DoPingPong, interop.DoEmptyStream, interop.DoTimeoutOnSleepingServer, interop.DoCancelAfterBegin,
	interop.DoCancelAfterFirstResponse, interop.DoCustomMetadata, interop.DoStatusCodeAndMessage,
	interop.DoSpecialStatusMessage,
}

// user makes calls on a channel that others use, too.
type user struct {
	channel *grpc.ClientConn
	keyed   bool
	checked *atomic.Int64
}

func (u user) context(ctx context.Context) context.Context {
	if u.keyed {
		return metadata.AppendToOutgoingContext(ctx, os.Args[2], os.Args[3])
	}
	return ctx
}

func (u user) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	var head metadata.MD
	err := u.channel.Invoke(u.context(ctx), method, args, reply, append(options, grpc.Header(&head))...)
	u.check(method, head, err)
	return err
}

func (u user) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := u.channel.NewStream(u.context(ctx), desc, method, options...)
	return &checkedStream{stream, u, method}, err
}

type checkedStream struct {
	grpc.ClientStream
	user   user
	method string
}

func (s *checkedStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if err == nil {
		head, _ := s.Header()
		s.user.check(s.method, head, err)
	}
	return err
}

// check looks at who answered, where somebody did.
func (u user) check(method string, head metadata.MD, err error) {
	if err != nil && !errors.Is(err, io.EOF) {
		return
	}
	if byPreview := len(head.Get("x-byway-preview")) > 0; byPreview != u.keyed {
		log.Fatalf("%s, keyed %v: answered by the preview: %v", method, u.keyed, byPreview)
	}
	u.checked.Add(1)
}

func main() {
	rounds, _ := strconv.Atoi(os.Args[4])
	channel, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	var checked [2]atomic.Int64
	users := []user{{channel, false, &checked[0]}, {channel, true, &checked[1]}}
	for _, one := range cases {
		for _, user := range users {
			one(context.Background(), testing.NewTestServiceClient(user))
		}
	}
	var all sync.WaitGroup
	for range rounds {
		for _, one := range cases {
			for _, user := range users {
				all.Add(1)
				go func() {
					defer all.Done()
					one(context.Background(), testing.NewTestServiceClient(user))
				}()
			}
		}
	}
	all.Wait()
	fmt.Println(checked[0].Load(), checked[1].Load())
}
