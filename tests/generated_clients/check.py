"""Calls a server with the client that openapi-python-client makes of openapi/slipway.json.

usage: check.py URL USERNAME PASSWORD TENANT, with the package slipway_client in PYTHONPATH
"""

import sys
from http import HTTPStatus

from slipway_client import AuthenticatedClient, Client
from slipway_client.api.apps import create_app, get_app, update_app
from slipway_client.api.auth import login
from slipway_client.api.device import check, check_again
from slipway_client.api.keys import create_device_key
from slipway_client.api.releases import create_release, list_releases, publish_release
from slipway_client.models import (
    AppResponse,
    CheckRequest,
    CheckResult,
    CreateAppRequest,
    CreateDeviceKeyRequest,
    CreateReleaseRequest,
    LoginRequest,
    Problem,
    ProblemCode,
    ReleaseState,
    UpdateAppRequest,
)
from slipway_client.types import UNSET

URL, USERNAME, PASSWORD, TENANT = sys.argv[1:4] + [int(sys.argv[4])]
PACKAGE = "com.example.python"
PUBLISHED = ReleaseState.RELEASE_STATE_PUBLISHED


def log_in():
    request = LoginRequest(username=USERNAME, password=PASSWORD)
    tokens = login.sync(client=Client(base_url=URL, raise_on_unexpected_status=True), body=request)
    return bearer(tokens.access_token)


def bearer(token):
    return AuthenticatedClient(base_url=URL, token=token, raise_on_unexpected_status=True)


def create_app_twice(admin):
    """The same key and body return the first response again."""
    request = CreateAppRequest(package_name=PACKAGE, app_name="Python")
    create = lambda: create_app.sync_detailed(TENANT, client=admin, body=request, idempotency_key="python")
    first, again = create(), create()
    assert first.status_code == HTTPStatus.CREATED, first.content
    assert first.parsed == again.parsed
    assert again.headers["Idempotency-Replayed"] == "true"
    return first.headers["ETag"]


def publish(admin, version_code):
    request = CreateReleaseRequest(
        identifier=PACKAGE,
        version_code=version_code,
        version_name=f"1.{version_code}",
        download_url="https://files.example/app.apk",
        size=1,
        md5="0cc175b9c0f1b6a831c399e269772661",
    )
    release = create_release.sync(TENANT, PACKAGE, client=admin, body=request)
    published = publish_release.sync(TENANT, PACKAGE, release.id, client=admin)
    assert published.state == PUBLISHED, published


def check_twice(admin):
    """The offers are sent once; afterwards 304 says that they are the same."""
    key = create_device_key.sync(TENANT, client=admin, body=CreateDeviceKeyRequest(name="Python"))
    device = bearer(key.device_key)
    request = CheckRequest(package_name=PACKAGE, version_code=1, device_id="PY1", attributes={"abi": "arm64-v8a"})
    posted = check.sync(client=device, body=request)
    assert isinstance(posted, CheckResult), posted
    assert [offer.version_code for offer in posted.data] == [3]
    ask = lambda etag: check_again.sync_detailed(
        client=device, package_name=PACKAGE, version_code=1, device_id="PY1", if_none_match=etag
    )
    first = ask(UNSET)
    assert first.parsed.data == posted.data
    assert ask(first.headers["ETag"]).status_code == HTTPStatus.NOT_MODIFIED


def list_by_pages(admin):
    versions, cursor = [], UNSET
    while cursor is not None:
        page = list_releases.sync(TENANT, PACKAGE, client=admin, limit=1, cursor=cursor, state=PUBLISHED)
        versions += [release.version_code for release in page.items]
        cursor = page.next_cursor
    assert versions == [3, 2], versions


def read_problems(admin):
    absent = get_app.sync(TENANT, "com.example.absent", client=admin)
    assert isinstance(absent, Problem) and absent.code == ProblemCode.PROBLEM_CODE_NOT_FOUND, absent
    request = CreateAppRequest(package_name="not a name", app_name="Python")
    invalid = create_app.sync(TENANT, client=admin, body=request)
    assert [error.field for error in invalid.errors] == ["package_name"], invalid


def change_once(admin, etag):
    """The second change names the object before the first."""
    rename = lambda name: update_app.sync(
        TENANT, PACKAGE, client=admin, body=UpdateAppRequest(app_name=name), if_match=etag
    )
    renamed = rename("Renamed")
    assert isinstance(renamed, AppResponse) and renamed.app_name == "Renamed", renamed
    assert rename("Renamed again").code == ProblemCode.PROBLEM_CODE_STALE


ADMIN = log_in()
ETAG = create_app_twice(ADMIN)
publish(ADMIN, 2)
publish(ADMIN, 3)
check_twice(ADMIN)
list_by_pages(ADMIN)
read_problems(ADMIN)
change_once(ADMIN, ETAG)
