// Calls a server with the client that openapi-typescript and openapi-fetch make of openapi/slipway.json.
//
// usage: node check.js URL USERNAME PASSWORD TENANT

import { deepStrictEqual as equal, match, ok } from "node:assert";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Problem = components["schemas"]["Problem"];

const [baseUrl, username, password, tenant] = process.argv.slice(2) as [string, string, string, string];
const tenant_id = Number(tenant);
const package_name = "com.example.typescript";
const app = { tenant_id, package_name };

function bearer(token: string): Client<paths> {
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
}

/** Returns the data of a success. */
function data<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  ok(answer.data !== undefined, `${answer.response.status}: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

/** Returns the problem of a refusal. */
function problem(answer: { error?: Problem; response: Response }, status: number): Problem {
  equal(answer.response.status, status);
  ok(answer.error !== undefined);
  equal(answer.error.status, status);
  return answer.error;
}

async function logIn(): Promise<Client<paths>> {
  const tokens = data(
    await createClient<paths>({ baseUrl }).POST("/api/v1/auth/login", { body: { username, password } }),
  );
  equal(tokens.token_type, "Bearer");
  return bearer(tokens.access_token);
}

/** The same key and body return the first response again. */
async function createApp(admin: Client<paths>): Promise<string> {
  const create = () =>
    admin.POST("/api/v1/tenants/{tenant_id}/apps", {
      params: { path: { tenant_id }, header: { "Idempotency-Key": "typescript" } },
      body: { package_name, app_name: "TypeScript" },
    });
  const first = await create();
  const again = await create();
  equal(data(first), data(again));
  equal(first.response.headers.get("Idempotency-Replayed"), null);
  equal(again.response.headers.get("Idempotency-Replayed"), "true");
  return first.response.headers.get("ETag") ?? "";
}

async function publish(admin: Client<paths>, version_code: number): Promise<void> {
  const release = data(
    await admin.POST("/api/v1/tenants/{tenant_id}/apps/{package_name}/releases", {
      params: { path: app },
      body: {
        identifier: package_name,
        version_code,
        version_name: `1.${version_code}`,
        download_url: "https://files.example/app.apk",
        size: 1,
        md5: "0cc175b9c0f1b6a831c399e269772661",
        config_json: { nested: { number: 1.5 } },
      },
    }),
  );
  const published = data(
    await admin.POST("/api/v1/tenants/{tenant_id}/apps/{package_name}/releases/{release_id}/publish", {
      params: { path: { ...app, release_id: release.id } },
    }),
  );
  equal(published.state, "published");
  equal(published.config_json, { nested: { number: 1.5 } });
}

/** The offers are sent once; afterwards 304 says that they are the same. */
async function check(admin: Client<paths>): Promise<void> {
  const key = data(
    await admin.POST("/api/v1/tenants/{tenant_id}/device-keys", {
      params: { path: { tenant_id } },
      body: { name: "TypeScript" },
    }),
  );
  const device = bearer(key.device_key);
  const posted = data(
    await device.POST("/v1/check", {
      body: { package_name, version_code: 1, device_id: "TS1", attributes: { abi: "arm64-v8a" } },
    }),
  );
  equal(posted.data.map((offer) => offer.version_code), [3]);
  const ask = (etag?: string) =>
    device.GET("/v1/check", {
      params: {
        query: { package_name, version_code: 1, device_id: "TS1" },
        header: etag === undefined ? {} : { "If-None-Match": etag },
      },
    });
  const first = await ask();
  equal(data(first).data, posted.data);
  const etag = first.response.headers.get("ETag") ?? "";
  equal((await ask(etag)).response.status, 304);
  match(first.response.headers.get("Slipway-Revision") ?? "", /^\d+\./);
}

async function listByPages(admin: Client<paths>): Promise<void> {
  const versions: number[] = [];
  let cursor: string | undefined;
  do {
    const page = data(
      await admin.GET("/api/v1/tenants/{tenant_id}/apps/{package_name}/releases", {
        params: { path: app, query: { limit: 1, state: "published", ...(cursor === undefined ? {} : { cursor }) } },
      }),
    );
    versions.push(...page.items.map((release) => release.version_code));
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  equal(versions, [3, 2]);
}

async function readProblems(admin: Client<paths>): Promise<void> {
  const absent = await admin.GET("/api/v1/tenants/{tenant_id}/apps/{package_name}", {
    params: { path: { tenant_id, package_name: "com.example.absent" } },
  });
  equal(problem(absent, 404).code, "not_found");
  const invalid = await admin.POST("/api/v1/tenants/{tenant_id}/apps", {
    params: { path: { tenant_id } },
    body: { package_name: "not a name", app_name: "TypeScript" },
  });
  equal(problem(invalid, 400).errors.map((error) => error.field), ["package_name"]);
}

/** The second change names the object before the first. */
async function changeOnce(admin: Client<paths>, etag: string): Promise<void> {
  const rename = (app_name: string) =>
    admin.PATCH("/api/v1/tenants/{tenant_id}/apps/{package_name}", {
      params: { path: app, header: { "If-Match": etag } },
      body: { app_name, icon_url: null },
    });
  equal(data(await rename("Renamed")).app_name, "Renamed");
  equal(problem(await rename("Renamed again"), 412).code, "stale");
}

const admin = await logIn();
const etag = await createApp(admin);
await publish(admin, 2);
await publish(admin, 3);
await check(admin);
await listByPages(admin);
await readProblems(admin);
await changeOnce(admin, etag);
