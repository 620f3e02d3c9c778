// Command run-job runs a command once and lets the outside see how it ended. It does what the shell script of that name
// does in images that have a shell: images/README.md has the contract of both, and contract_test.go holds them to it.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Tests replace these two.
var (
	folder = "/run/job"
	// Long enough for a slow health check to see the mark.
	linger = 15 * time.Second
)

const (
	// Files in the folder: the command has succeeded, and a health check has reported it.
	mark     = "succeeded"
	reported = "told"
	// Between two checks for the mark.
	pause = 50 * time.Millisecond
)

// Exit codes of the shell's, for a command that does not start.
const (
	cannotExecute = 126
	notFound      = 127
	signalled     = 128
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "run-job: no command given")
		os.Exit(64)
	}
	if os.Args[1] == "--succeeded" {
		if !succeeded(os.Args[2:]) {
			os.Exit(1)
		}
		report()
		return
	}
	// A container that is started a second time must not look successful before it is.
	for _, file := range []string{mark, reported} {
		if err := os.Remove(filepath.Join(folder, file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			fail(73, err)
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	run(os.Args[1:], signals)
	if err := os.WriteFile(filepath.Join(folder, mark), nil, 0o644); err != nil {
		fail(73, err)
	}
	fmt.Printf("run-job: %s succeeded\n", os.Args[1])
	select {
	case <-signals:
	case <-time.After(linger):
	}
}

// succeeded waits for the mark, as long as the argument says.
func succeeded(arguments []string) bool {
	seconds := 0
	if len(arguments) > 0 {
		var err error
		if seconds, err = strconv.Atoi(arguments[0]); err != nil {
			fail(64, err)
		}
	}
	deadline := time.Now().Add(time.Duration(seconds) * time.Second)
	for {
		if _, err := os.Stat(filepath.Join(folder, mark)); err == nil {
			return true
		}
		if !time.Now().Before(deadline) {
			return false
		}
		time.Sleep(pause)
	}
}

// report returns at once the first time, and later only after a while: an engine repeats its health checks for ever.
func report() {
	path := filepath.Join(folder, reported)
	if _, err := os.Stat(path); err == nil {
		time.Sleep(linger)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		fail(73, err)
	}
}

// run runs the command, and ends this process with the command's exit code unless that is 0.
func run(command []string, signals <-chan os.Signal) {
	child := exec.Command(command[0], command[1:]...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "run-job:", err)
		if errors.Is(err, fs.ErrPermission) {
			failed(command[0], cannotExecute)
		}
		failed(command[0], notFound)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for {
		select {
		case <-signals:
			_ = child.Process.Signal(syscall.SIGTERM)
		case err := <-ended:
			if err != nil {
				failed(command[0], exitCode(err))
			}
			return
		}
	}
}

// exitCode returns the code that a shell gives for how a process ended.
func exitCode(err error) int {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 1
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signalled + int(status.Signal())
	}
	return exit.ExitCode()
}

func failed(name string, code int) {
	fmt.Fprintf(os.Stderr, "run-job: %s failed with exit code %d\n", name, code)
	os.Exit(code)
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, "run-job:", err)
	os.Exit(code)
}
