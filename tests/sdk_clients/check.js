// Makes calls of the gateway with an unmodified Node client and prints one JSON line for each.
//
// usage: check.js CLIENT VERB URL APP_KEY APP_SECRET
//
// CLIENT is the name of the client's package, VERB what its `execute` takes for it. A line has the name of the call and
// what the client returned, or the name of the error that it raised and what that says.
'use strict';

const CHECK = 'wdk.rexout.resource.list.check';
const PUSH = 'yunos.miniapp.offlinepkg.push';
const CHUKU = 'com.hema.wms.chuku';
// Texts that are sent and signed as they are, one of them without a value.
const DEVICE = {
  package_name: 'com.hema.wms',
  version_code: 50,
  device_id: 'PDA001',
  device_type: '',
  old_versions: JSON.stringify({ [CHUKU]: 230 }),
  org_info: JSON.stringify({ l1Code: 'HM' }),
  attributes: JSON.stringify({ store: '杭州 1+1', note: '🚀&=%' }),
  tenant_id: 10000000,
};
const UP_TO_DATE = { ...DEVICE, old_versions: JSON.stringify({ [CHUKU]: 240 }) };
const { device_id: _, ...WITHOUT_DEVICE } = DEVICE;

// What several ways to send would sign alike within a second is told apart by its app.
const pushTo = (device, appId) => ({
  alipay_context: JSON.stringify({ havanaId: '', loginId: '', masterId: '' }),
  req: JSON.stringify({
    target_info: [{ hardware_id: device, project_id: 'stores' }],
    package_push_info: { pack_url: 'scheme://pkg?a=1&b=杭州', app_type: 'tinyApp', app_id: appId },
    action: 'preview',
  }),
});

const CLIENTS = {
  'node-taobao-topclient': (url, appkey, appsecret) => {
    const TopClient = require('node-taobao-topclient').default;
    return new TopClient({ appkey, appsecret, REST_URL: url });
  },
  topsdk: (url, key, secret) => {
    const TopClient = require('topsdk');
    return new TopClient(key, secret, { endpoint: url });
  },
};

async function outcome(client, method, params, verb) {
  try {
    // One of the clients adds to what it is given.
    return { answer: await client.execute(method, { ...params }, verb) };
  } catch (error) {
    const { name, code, sub_code, message: msg } = error;
    return { raised: name, error: { code, sub_code, msg } };
  }
}

async function main([name, verb, url, appKey, appSecret]) {
  const client = CLIENTS[name](url, appKey, appSecret);
  const stranger = CLIENTS[name](url, appKey, 'another secret');
  const calls = [
    ['update', client, CHECK, DEVICE],
    ['up to date', client, CHECK, UP_TO_DATE],
    ['wrong secret', stranger, CHECK, DEVICE],
    ['missing argument', client, CHECK, WITHOUT_DEVICE],
    ['unknown method', client, 'no.such.method', DEVICE],
    ['push', client, PUSH, pushTo('PDA001', `${name} ${verb}`)],
    ['push to nobody', client, PUSH, pushTo('nobody', name)],
  ];
  for (const [call, caller, method, params] of calls) {
    console.log(JSON.stringify({ call, ...(await outcome(caller, method, params, verb)) }));
  }
}

// One of the clients keeps its connection open, which would keep the process.
main(process.argv.slice(2)).then(() => process.exit());
