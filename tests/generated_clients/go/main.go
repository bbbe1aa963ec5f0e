// Calls a server with the client that oapi-codegen makes of openapi/slipway.json.
//
// usage: check URL USERNAME PASSWORD TENANT
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"

	"slipway.example/check/slipway"
)

const packageName = "com.example.go"

var ctx = context.Background()

// must ends the program unless the call succeeded with the status.
func must(what string, status, expected int, body []byte, err error) {
	if err != nil || status != expected {
		fmt.Fprintf(os.Stderr, "%s: %d instead of %d: %s %v\n", what, status, expected, body, err)
		os.Exit(1)
	}
}

func bearer(url, token string) *slipway.ClientWithResponses {
	authorize := func(_ context.Context, request *http.Request) error {
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		return nil
	}
	client, err := slipway.NewClientWithResponses(url, slipway.WithRequestEditorFn(authorize))
	must("client", 0, 0, nil, err)
	return client
}

func logIn(url, username, password string) *slipway.ClientWithResponses {
	answer, err := bearer(url, "").LoginWithResponse(ctx, slipway.LoginRequest{Username: username, Password: password})
	must("login", answer.StatusCode(), 200, answer.Body, err)
	return bearer(url, answer.JSON200.AccessToken)
}

// createApp sends the same key and body twice, and returns the entity tag.
func createApp(admin *slipway.ClientWithResponses, tenant int64) string {
	key := "go"
	create := func() *slipway.CreateAppResponse {
		answer, err := admin.CreateAppWithResponse(ctx, tenant, &slipway.CreateAppParams{IdempotencyKey: &key},
			slipway.CreateAppRequest{PackageName: packageName, AppName: "Go"})
		must("create app", answer.StatusCode(), 201, answer.Body, err)
		return answer
	}
	first, again := create(), create()
	if first.JSON201.Id != again.JSON201.Id || again.HTTPResponse.Header.Get("Idempotency-Replayed") != "true" {
		must("replay", 0, 1, again.Body, nil)
	}
	return first.HTTPResponse.Header.Get("ETag")
}

func publish(admin *slipway.ClientWithResponses, tenant, version int64) {
	created, err := admin.CreateReleaseWithResponse(ctx, tenant, packageName, nil, slipway.CreateReleaseRequest{
		Identifier:  packageName,
		VersionCode: version,
		VersionName: fmt.Sprintf("1.%d", version),
		DownloadUrl: "https://files.example/app.apk",
		Size:        1,
		Md5:         "0cc175b9c0f1b6a831c399e269772661",
	})
	must("create release", created.StatusCode(), 201, created.Body, err)
	published, err := admin.PublishReleaseWithResponse(ctx, tenant, packageName, created.JSON201.Id, nil,
		slipway.PublishReleaseRequest{})
	must("publish", published.StatusCode(), 200, published.Body, err)
}

func check(url string, admin *slipway.ClientWithResponses, tenant int64) {
	key, err := admin.CreateDeviceKeyWithResponse(ctx, tenant, nil, slipway.CreateDeviceKeyRequest{Name: "Go"})
	must("device key", key.StatusCode(), 201, key.Body, err)
	device := bearer(url, key.JSON201.DeviceKey)
	var attributes slipway.JsonOrText = map[string]string{"abi": "arm64-v8a"}
	posted, err := device.CheckWithResponse(ctx, slipway.CheckRequest{
		PackageName: packageName, VersionCode: 1, DeviceId: "GO1", Attributes: &attributes})
	must("check", posted.StatusCode(), 200, posted.Body, err)
	if len(posted.JSON200.Data) != 1 || posted.JSON200.Data[0].VersionCode != 3 {
		must("offer", 0, 1, posted.Body, nil)
	}
	ask := func(etag *string, expected int) string {
		answer, err := device.CheckAgainWithResponse(ctx, &slipway.CheckAgainParams{
			PackageName: packageName, VersionCode: 1, DeviceId: "GO1", IfNoneMatch: etag})
		must("check again", answer.StatusCode(), expected, answer.Body, err)
		return answer.HTTPResponse.Header.Get("ETag")
	}
	etag := ask(nil, 200)
	ask(&etag, 304)
}

func listByPages(admin *slipway.ClientWithResponses, tenant int64) {
	var versions []int64
	limit := int32(1)
	for cursor := (*string)(nil); ; {
		page, err := admin.ListReleasesWithResponse(ctx, tenant, packageName,
			&slipway.ListReleasesParams{Limit: &limit, Cursor: cursor})
		must("list", page.StatusCode(), 200, page.Body, err)
		for _, release := range page.JSON200.Items {
			versions = append(versions, release.VersionCode)
		}
		if cursor = page.JSON200.NextCursor; cursor == nil {
			break
		}
	}
	if !slices.Equal(versions, []int64{3, 2}) {
		must(fmt.Sprintf("pages %v", versions), 0, 1, nil, nil)
	}
}

func readProblem(admin *slipway.ClientWithResponses, tenant int64) {
	absent, err := admin.GetAppWithResponse(ctx, tenant, "com.example.absent")
	must("absent", absent.StatusCode(), 404, absent.Body, err)
	if absent.ApplicationproblemJSON404.Code != "not_found" {
		must("problem", 0, 1, absent.Body, nil)
	}
}

// changeOnce names the object before the first change in both changes.
func changeOnce(admin *slipway.ClientWithResponses, tenant int64, etag string) {
	name := "Renamed"
	for _, expected := range []int{200, 412} {
		answer, err := admin.UpdateAppWithResponse(ctx, tenant, packageName,
			&slipway.UpdateAppParams{IfMatch: &etag}, slipway.UpdateAppRequest{AppName: &name})
		must("update", answer.StatusCode(), expected, answer.Body, err)
	}
}

func main() {
	tenant, err := strconv.ParseInt(os.Args[4], 10, 64)
	must("tenant", 0, 0, nil, err)
	admin := logIn(os.Args[1], os.Args[2], os.Args[3])
	etag := createApp(admin, tenant)
	publish(admin, tenant, 2)
	publish(admin, tenant, 3)
	check(os.Args[1], admin, tenant)
	listByPages(admin, tenant)
	readProblem(admin, tenant)
	changeOnce(admin, tenant, etag)
}
