// Command create-schema runs the statements of a file in ClickHouse, one after the other, over HTTP.
//
// Environment: CLICKHOUSE_ENDPOINT (scheme, host, port), CLICKHOUSE_USERNAME, PATIENCE_SECONDS (how long to wait
// for a ClickHouse that does not answer). Files below /run/schema: statements.json (a list of strings), password.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	folder      = "/run/schema/"
	interval    = 2 * time.Second
	longestText = 600
)

// ClickHouse's error codes for a wrong user or password.
var authenticationFailed = map[string]bool{"192": true, "193": true, "194": true, "516": true}

// refused is an error that a retry does not change.
type refused struct{ reason string }

func (r refused) Error() string { return r.reason }

type server struct {
	endpoint, user, password string
	client                   http.Client
}

func main() {
	var statements []string
	text := read("statements.json")
	if err := json.Unmarshal([]byte(text), &statements); err != nil {
		stop(fmt.Errorf("%sstatements.json: %w", folder, err))
	}
	seconds, err := strconv.Atoi(os.Getenv("PATIENCE_SECONDS"))
	if err != nil {
		stop(fmt.Errorf("PATIENCE_SECONDS: %w", err))
	}
	clickhouse := server{
		endpoint: strings.TrimRight(os.Getenv("CLICKHOUSE_ENDPOINT"), "/"),
		user:     os.Getenv("CLICKHOUSE_USERNAME"),
		password: read("password"),
		client: http.Client{
			Timeout: 30 * time.Second,
			// A redirection leads to another server, which must not get the password.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	deadline := time.Now().Add(time.Duration(seconds) * time.Second)
	for number, statement := range statements {
		if err := clickhouse.patiently(statement, deadline); err != nil {
			stop(fmt.Errorf("statement %d of %d: %w", number+1, len(statements), err))
		}
	}
	fmt.Printf("create-schema: %d statements done at %s\n", len(statements), clickhouse.endpoint)
}

func (s server) patiently(statement string, deadline time.Time) error {
	reported := false
	for {
		err := s.run(statement)
		var final refused
		if err == nil || errors.As(err, &final) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("ClickHouse does not answer; the next update tries again: %w", err)
		}
		if !reported {
			fmt.Fprintln(os.Stderr, "create-schema: waiting:", err)
			reported = true
		}
		time.Sleep(interval)
	}
}

func (s server) run(statement string) error {
	request, err := http.NewRequest(http.MethodPost, s.endpoint+"/", strings.NewReader(statement))
	if err != nil {
		return refused{err.Error()}
	}
	request.SetBasicAuth(s.user, s.password)
	response, err := s.client.Do(request)
	if err != nil {
		if strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: ") {
			return refused{"TLS: " + err.Error()}
		}
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, longestText))
	if err != nil {
		return err
	}
	code := response.Header.Get("X-ClickHouse-Exception-Code")
	said := fmt.Sprintf("%s %s", response.Status, strings.TrimSpace(string(answer)))
	switch {
	case response.StatusCode == http.StatusOK && code == "":
		return nil
	case response.StatusCode == http.StatusUnauthorized || authenticationFailed[code]:
		return refused{"ClickHouse does not accept user or password (letta:clickhouseUsername, " +
			"letta:clickhousePassword): " + said}
	case code == "497":
		return refused{"the user may not create tables (letta:clickhouseUsername): " + said}
	case response.StatusCode < 500 && response.StatusCode != http.StatusTooManyRequests && code == "":
		return refused{"what answers there is not ClickHouse's HTTP interface (letta:clickhouseEndpoint): " + said}
	case response.StatusCode >= 500 && code == "", response.StatusCode == http.StatusTooManyRequests:
		// A proxy in front of it, or a server that starts.
		return errors.New(said)
	default:
		return refused{said}
	}
}

func read(name string) string {
	content, err := os.ReadFile(folder + name)
	if err != nil {
		stop(err)
	}
	return string(content)
}

func stop(err error) {
	fmt.Fprintln(os.Stderr, "create-schema:", err)
	os.Exit(1)
}
