import { readFile, writeFile } from 'node:fs/promises';

const query = new URLSearchParams({
  package_name: 'com.freshmart.handheld',
  version_code: 121,
  device_id: process.env.DEVICE_ID,
  old_versions: JSON.stringify({ 'com.freshmart.handheld.labels': 7 }),
  org_info: JSON.stringify({ l3Code: '8007' }),
});
const headers = { Authorization: `Bearer ${process.env.DEVICE_TOKEN}` };
const etag = await readFile('check.etag', 'utf8').catch(() => null);
if (etag) headers['If-None-Match'] = etag;

const signal = AbortSignal.timeout(30_000);
const response = await fetch(`${process.env.SLIPWAY_URL}/v1/check?${query}`, { headers, signal });
if (response.status === 304) {
  console.log('304 the offers are unchanged');
} else if (response.ok) {
  console.log('200', JSON.stringify(await response.json()));
  // Stored last, so that offers that were not handled are returned again.
  await writeFile('check.etag', response.headers.get('etag'));
} else {
  throw new Error(`${response.status} ${await response.text()}`);
}
