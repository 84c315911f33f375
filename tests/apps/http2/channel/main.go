// A gRPC channel, which keeps its connection for as long as it can: makes a call for each line of its standard input,
// and says who answered. "late" is a call whose answer takes eight seconds, "stream" one that is silent for as long
// after its first message, and "connect" none at all. Its arguments are the server's address, and a header's name and
// value.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	testing "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

func main() {
	channel, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	client := testing.NewTestServiceClient(channel)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		patience, done := context.WithTimeout(context.Background(), 20*time.Second)
		keyed := metadata.AppendToOutgoingContext(patience, os.Args[2], os.Args[3])
		var head metadata.MD
		var err error
		switch lines.Text() {
		case "connect":
			channel.Connect()
			for state := channel.GetState(); state != connectivity.Ready; state = channel.GetState() {
				channel.WaitForStateChange(patience, state)
			}
			done()
			fmt.Println("connected")
			continue
		case "late":
			head, err = stream(client, keyed, 8*time.Second)
		case "stream":
			head, err = stream(client, keyed, 0, 8*time.Second)
		default:
			_, err = client.EmptyCall(keyed, &testing.Empty{}, grpc.Header(&head))
		}
		done()
		switch {
		case err != nil:
			fmt.Println("failed:", err)
		case len(head.Get("x-byway-preview")) > 0:
			fmt.Println("preview")
		default:
			fmt.Println("app")
		}
	}
}

// stream has the server send a message after each of these pauses.
func stream(client testing.TestServiceClient, call context.Context, pauses ...time.Duration) (metadata.MD, error) {
	request := &testing.StreamingOutputCallRequest{}
	for _, pause := range pauses {
		parameters := &testing.ResponseParameters{Size: 1, IntervalUs: int32(pause.Microseconds())}
		request.ResponseParameters = append(request.ResponseParameters, parameters)
	}
	messages, err := client.StreamingOutputCall(call, request)
	if err != nil {
		return nil, err
	}
	for {
		if _, err := messages.Recv(); errors.Is(err, io.EOF) {
			return messages.Header()
		} else if err != nil {
			return nil, err
		}
	}
}
