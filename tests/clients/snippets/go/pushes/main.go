package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

var (
	device      = os.Getenv("SLIPWAY_URL") + "/v1/devices/" + os.Getenv("DEVICE_ID")
	applied     = map[string]bool{}
	lastEventID = "0"
	retry       = 3 * time.Second
)

func main() {
	for {
		if err := receive(); err != nil {
			log.Print(err)
		}
		time.Sleep(retry)
	}
}

func receive() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// The client has no timeout for reads. The server sends a line every 20 seconds.
	silence := time.AfterFunc(time.Minute, cancel)
	defer silence.Stop()
	response, err := call(ctx, "GET", "/events", "")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var id, data string
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		silence.Reset(time.Minute)
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case field == "retry":
			if ms, err := strconv.Atoi(value); err == nil {
				retry = time.Duration(ms) * time.Millisecond
			}
		case field == "id":
			id = value
		case field == "data":
			data = value
		case lines.Text() == "" && data != "":
			if err := handle(data); err != nil {
				return err
			}
			lastEventID, data = id, ""
		}
	}
	return lines.Err()
}

// A push can arrive again: it is applied once, and acknowledged each time.
func handle(data string) error {
	var push struct {
		ID       string `json:"push_id"`
		Sequence int64  `json:"sequence"`
		PackURL  string `json:"pack_url"`
	}
	if err := json.Unmarshal([]byte(data), &push); err != nil {
		return err
	}
	if !applied[push.ID] {
		fmt.Println("push", push.Sequence, push.PackURL)
		applied[push.ID] = true
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	response, err := call(ctx, "POST", "/pushes/"+push.ID+"/ack", `{"state":"applied"}`)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	fmt.Printf("acknowledged %s\n", answer)
	return err
}

// The caller closes the body.
func call(ctx context.Context, method, path, body string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, device+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("DEVICE_TOKEN"))
	if method == "POST" {
		request.Header.Set("Content-Type", "application/json")
	} else {
		request.Header.Set("Last-Event-ID", lastEventID)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode == http.StatusOK {
		return response, err
	}
	defer response.Body.Close()
	problem, _ := io.ReadAll(response.Body)
	return nil, fmt.Errorf("%s %s", response.Status, problem)
}
