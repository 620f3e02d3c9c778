// Command soak watches a collector's own metrics for a while, and fails when the collector loses signals or delivers
// none of those it accepts: then the next collector must not be replaced.
//
//	soak SECONDS http://collector:8888/metrics
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	interval = time.Second
	// What came in last may still wait for its batch when the time is over.
	grace = 20 * time.Second
)

var (
	sample = regexp.MustCompile(`^otelcol_([a-z_]+)(\{[^}]*\})? ([0-9.eE+-]+)`)
	label  = regexp.MustCompile(`(exporter|data_type)="([^"]*)"`)
	words  = map[string]string{"traces": "spans", "metrics": "metric_points", "logs": "log_records"}
)

// counters are a collector's metrics: name, then exporter (empty where it names none), then number.
type counters map[string]map[string]float64

func main() {
	if len(os.Args) != 3 {
		stop("usage: soak SECONDS METRICS_URL")
	}
	seconds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		stop(err.Error())
	}
	client := http.Client{Timeout: 5 * time.Second}
	over := time.Now().Add(time.Duration(seconds) * time.Second)
	missed := 0
	for {
		now, err := scrape(&client, os.Args[2])
		if err != nil {
			// One scrape may fall into a pause; with a collector that has ended all fail.
			if missed++; missed > 5 {
				stop(fmt.Sprintf("the collector's metrics cannot be read: %v", err))
			}
		} else {
			missed = 0
			if lost := losses(now); lost != "" {
				stop(lost)
			}
			if stuck := undelivered(now); time.Now().After(over) {
				if stuck == "" {
					report(now)
					return
				}
				if time.Now().After(over.Add(grace)) {
					stop(stuck)
				}
			}
		}
		time.Sleep(interval)
	}
}

// losses describes a loss, or returns an empty text.
func losses(now counters) string {
	if now["queue_disk_full"][""] > 0 {
		return "the disk of the queues is full, and signals are refused"
	}
	for _, unit := range words {
		for exporter, number := range now["exporter_enqueue_failed_"+unit] {
			if number > 0 {
				return fmt.Sprintf("%s could not put %.0f %s into its queue", exporter, number, plain(unit))
			}
		}
	}
	return ""
}

// undelivered describes an exporter that has work and has done none of it, or returns an empty text.
func undelivered(now counters) string {
	for signal, unit := range words {
		for exporter, waiting := range now["exporter_queue_size/"+signal] {
			failed := now["exporter_send_failed_"+unit][exporter]
			if waiting+failed > 0 && now["exporter_sent_"+unit][exporter] == 0 {
				return fmt.Sprintf("%s has sent nothing of what waits in its queue of %s", exporter, plain(unit))
			}
		}
	}
	return ""
}

func report(now counters) {
	reported := false
	for _, unit := range words {
		accepted := 0.0
		for _, number := range now["receiver_accepted_"+unit] {
			accepted += number
		}
		for exporter, sent := range now["exporter_sent_"+unit] {
			if accepted > 0 {
				fmt.Printf("soak: %.0f %s accepted, %.0f sent by %s\n", accepted, plain(unit), sent, exporter)
				reported = true
			}
		}
	}
	if !reported {
		fmt.Println("soak: nothing came in, so that no delivery could be seen")
	}
}

func plain(unit string) string { return strings.ReplaceAll(unit, "_", " ") }

func scrape(client *http.Client, url string) (counters, error) {
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", response.Status)
	}
	return parse(response.Body)
}

func parse(text io.Reader) (counters, error) {
	found := counters{}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		match := sample.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		value, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			return nil, err
		}
		labels := map[string]string{}
		for _, pair := range label.FindAllStringSubmatch(match[2], -1) {
			labels[pair[1]] = pair[2]
		}
		name, counter := labels["exporter"], strings.TrimSuffix(match[1], "_total")
		if signal, there := labels["data_type"]; there {
			counter += "/" + signal
		}
		if found[counter] == nil {
			found[counter] = map[string]float64{}
		}
		found[counter][name] += value
	}
	return found, lines.Err()
}

func stop(reason string) {
	fmt.Fprintln(os.Stderr, "soak:", reason)
	os.Exit(1)
}
