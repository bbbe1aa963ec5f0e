"""Pushes a package to devices with an unmodified Python client, and prints what that returned as one line of JSON.

usage: push.py URL APP_KEY APP_SECRET TRACE_ID DEVICE...
"""

import json
import sys

from taobaopy.taobao import TaoBaoAPIClient


def main():
    url, app_key, app_secret, trace_id, *devices = sys.argv[1:]
    req = {
        "target_info": [{"hardware_id": device, "project_id": "stores"} for device in devices],
        "package_push_info": {"pack_url": "https://files.example/demo.amr", "app_type": "tinyApp", "app_id": "2021001"},
        "action": "preview",
        "trace_id": trace_id,
    }
    alipay_context = {"havanaId": "", "loginId": "", "masterId": ""}
    client = TaoBaoAPIClient(app_key, app_secret, domain=url)
    answer = client.yunos__miniapp_offlinepkg_push(alipay_context=json.dumps(alipay_context), req=json.dumps(req))
    print(json.dumps(answer))


main()
