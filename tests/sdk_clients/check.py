"""Makes calls of the gateway with an unmodified Python client and prints one JSON line for each.

usage: check.py CLIENT URL APP_KEY APP_SECRET

CLIENT is the name of the client's package. A line has the name of the call and what the client returned, or the name
of the exception that it raised and what that says of the error.
"""

import json
import sys
from urllib.parse import urlsplit

import taobao_open
from taobao_open.api.base import RestApi, TopException
from taobaopy.taobao import TaoBaoAPIClient, TaoBaoAPIError

CHUKU = "com.hema.wms.chuku"
# Texts that are sent and signed as they are, one of them without a value.
DEVICE = {
    "package_name": "com.hema.wms",
    "version_code": 50,
    "device_id": "PDA001",
    "device_type": "",
    "old_versions": json.dumps({CHUKU: 230}),
    "org_info": json.dumps({"l1Code": "HM"}),
    "attributes": json.dumps({"store": "杭州 1+1", "note": "🚀&=%"}, ensure_ascii=False),
    "tenant_id": 10000000,
}
UP_TO_DATE = {**DEVICE, "old_versions": json.dumps({CHUKU: 240})}
ALIPAY_CONTEXT = json.dumps({"havanaId": "", "loginId": "", "masterId": ""})


def push_to(device, app_id="111"):
    """The parameters of a push."""
    req = {
        "target_info": [{"hardware_id": device, "project_id": "stores"}],
        "package_push_info": {"pack_url": "scheme://pkg?a=1&b=杭州", "app_type": "tinyApp", "app_id": app_id},
        "action": "preview",
    }
    return {"alipay_context": ALIPAY_CONTEXT, "req": json.dumps(req)}


WITHOUT_DEVICE = {name: value for name, value in DEVICE.items() if name != "device_id"}


class ListCheckRequest(RestApi):
    """A request as the generator of the client's own requests writes them."""

    def getapiname(self):
        return "wdk.rexout.resource.list.check"


class PushRequest(RestApi):
    def getapiname(self):
        return "yunos.miniapp.offlinepkg.push"


class UnknownRequest(RestApi):
    def getapiname(self):
        return "no.such.method"


def with_taobaopy(url, app_key, app_secret):
    client = TaoBaoAPIClient(app_key, app_secret, domain=url)
    stranger = TaoBaoAPIClient(app_key, "another secret", domain=url)
    yield "update", lambda: client.wdk__rexout_resource_list_check(**DEVICE)
    yield "up to date", lambda: client.wdk__rexout_resource_list_check(**UP_TO_DATE)
    yield "wrong secret", lambda: stranger.wdk__rexout_resource_list_check(**DEVICE)
    yield "missing argument", lambda: client.wdk__rexout_resource_list_check(**WITHOUT_DEVICE)
    yield "unknown method", lambda: client.no__such_method(**DEVICE)
    yield "push", lambda: client.yunos__miniapp_offlinepkg_push(**push_to("PDA001", "taobaopy"))
    yield "push to nobody", lambda: client.yunos__miniapp_offlinepkg_push(**push_to("nobody"))


def with_py_taobao_open(url, app_key, app_secret):
    address = urlsplit(url)

    def call(request_class, fields, secret=app_secret):
        request = request_class(address.hostname, address.port)
        request.set_app_info(taobao_open.appinfo(app_key, secret))
        for name, value in fields.items():
            setattr(request, name, value)
        return request.getResponse()

    yield "update", lambda: call(ListCheckRequest, DEVICE)
    yield "up to date", lambda: call(ListCheckRequest, UP_TO_DATE)
    yield "wrong secret", lambda: call(ListCheckRequest, DEVICE, "another secret")
    yield "missing argument", lambda: call(ListCheckRequest, WITHOUT_DEVICE)
    yield "unknown method", lambda: call(UnknownRequest, DEVICE)
    yield "push", lambda: call(PushRequest, push_to("PDA001", "py-taobao-open"))
    yield "push to nobody", lambda: call(PushRequest, push_to("nobody"))


CLIENTS = {"taobaopy": with_taobaopy, "py-taobao-open": with_py_taobao_open}


def outcome(call):
    """What is absent in an error is the empty text for one client, and None for the other."""
    try:
        return {"answer": call()}
    except TaoBaoAPIError as error:
        return raised(error, error.code, error.msg, error.sub_code, error.sub_msg)
    except TopException as error:
        return raised(error, error.errorcode, error.message, error.subcode, error.submsg)


def raised(error, code, msg, sub_code, sub_msg):
    said = {"code": code, "msg": msg, "sub_code": sub_code, "sub_msg": sub_msg}
    return {"raised": type(error).__name__, "error": {name: text for name, text in said.items() if text}}


def main():
    name, *arguments = sys.argv[1:]
    for call_name, call in CLIENTS[name](*arguments):
        print(json.dumps({"call": call_name, **outcome(call)}))


main()
