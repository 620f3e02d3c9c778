// Command pulumi-language-python lets `pulumi` run Python programs and policy packs, for machines that cannot download
// Pulumi's own host (its module is not published). It serves the calls that `pulumi` makes while it deploys, installs and
// describes a program; those that generate code are left out.
//
// `pulumi` starts it with the engine's address as last argument and reads the port that it listens on from the first line
// of its standard output. It must be in the same folder as `pulumi` and the script pulumi-language-python-exec.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("pulumi-language-python: ")
	if len(os.Args) < 2 {
		log.Fatal("the engine's address is missing; this program is started by `pulumi`, not by hand")
	}
	if err := serve(os.Args[len(os.Args)-1]); err != nil {
		log.Fatal(err)
	}
}

func serve(engine string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		// `pulumi` holds the other end for as long as it lives: this sees even a `kill -9` of it, and lets no program run on.
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()

	cancel := make(chan bool)
	context.AfterFunc(ctx, func() { close(cancel) })
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: cancel,
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(server, &host{
				alive:  ctx,
				engine: engine,
				runner: filepath.Join(filepath.Dir(self), "pulumi-language-python-exec"),
			})
			return nil
		},
	})
	if err != nil {
		return err
	}
	fmt.Println(handle.Port)
	return <-handle.Done
}
