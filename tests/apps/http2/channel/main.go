// A gRPC channel, which keeps its connection for as long as it can: makes a call for each line of its standard input,
// and says who answered. Its arguments are the server's address, and a header's name and value.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
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
		patience, done := context.WithTimeout(context.Background(), 5*time.Second)
		keyed := metadata.AppendToOutgoingContext(patience, os.Args[2], os.Args[3])
		var head metadata.MD
		_, err := client.EmptyCall(keyed, &testing.Empty{}, grpc.Header(&head))
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
