package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"
)

func main() {
	query := url.Values{
		"package_name": {"com.freshmart.handheld"},
		"version_code": {"121"},
		"device_id":    {os.Getenv("DEVICE_ID")},
		"old_versions": {`{"com.freshmart.handheld.labels":7}`},
		"org_info":     {`{"l3Code":"8007"}`},
	}
	request, err := http.NewRequest("GET", os.Getenv("SLIPWAY_URL")+"/v1/check?"+query.Encode(), nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("DEVICE_TOKEN"))
	if etag, err := os.ReadFile("check.etag"); err == nil {
		request.Header.Set("If-None-Match", string(etag))
	}
	client := http.Client{Timeout: 30 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	switch response.StatusCode {
	case http.StatusNotModified:
		fmt.Println("304 the offers are unchanged")
	case http.StatusOK:
		fmt.Printf("200 %s\n", body)
		// Stored last, so that offers that were not handled are returned again.
		if err := os.WriteFile("check.etag", []byte(response.Header.Get("ETag")), 0o600); err != nil {
			log.Fatal(err)
		}
	default:
		log.Fatal(response.Status, string(body))
	}
}
