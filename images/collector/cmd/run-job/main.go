// Command run-job runs a command once and lets the outside see how it ended, as the script of that name does in
// images that have a shell:
//
//	run-job COMMAND...    runs it; when it has succeeded, the mark appears and the container stays for a moment
//	run-job --succeeded [SECONDS]
//	                      ends with 0 once the mark is there, with 1 when it is not within SECONDS (0 unless given):
//	                      the health check of a JOB; tells so at once only the first time, because an engine asks on
//	                      and on
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const (
	mark = "/run/job/succeeded"
	told = "/run/job/told"
	// Long enough for a slow health check to see the mark.
	linger = 15 * time.Second
	// Between two looks for the mark.
	pause = 50 * time.Millisecond
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
		tell()
		return
	}
	// A container that is started a second time must not look successful before it is.
	for _, file := range []string{mark, told} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			fail(73, err)
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	run(os.Args[1:], signals)
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
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
		if _, err := os.Stat(mark); err == nil {
			return true
		}
		if !time.Now().Before(deadline) {
			return false
		}
		time.Sleep(pause)
	}
}

// tell returns at once the first time, and after a while from then on.
func tell() {
	if _, err := os.Stat(told); err == nil {
		time.Sleep(linger)
	}
	if err := os.WriteFile(told, nil, 0o644); err != nil {
		fail(73, err)
	}
}

// run ends this process with the command's exit code unless that is 0.
func run(command []string, signals <-chan os.Signal) {
	child := exec.Command(command[0], command[1:]...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		fail(127, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	for {
		select {
		case <-signals:
			_ = child.Process.Signal(syscall.SIGTERM)
		case err := <-ended:
			if err == nil {
				return
			}
			code := 1
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() > 0 {
				code = exit.ExitCode()
			}
			fmt.Fprintf(os.Stderr, "run-job: %s failed with exit code %d\n", command[0], code)
			os.Exit(code)
		}
	}
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, "run-job:", err)
	os.Exit(code)
}
