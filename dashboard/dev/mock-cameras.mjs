// Cameras in every state, for working on the page without a cluster.
import { createHash } from 'node:crypto';

const NAMES = [
  ['police', 'szr-exit-12', 'Sheikh Zayed Rd / Exit 12', 'شارع الشيخ زايد / مخرج ١٢'],
  ['police', 'airport-t3-departures', 'Airport Terminal 3, departures, upper level, east ramp camera (temporary)', 'المطار، المبنى ٣، قاعة المغادرة، الطابق العلوي، كاميرا المنحدر الشرقي المؤقتة خلال أعمال الصيانة'],
  ['police', 'deira-clock', 'Deira Clocktower', 'دوّار الساعة، ديرة'],
  ['metro', 'union-platform-1', 'Union Station, platform 1', 'محطة الاتحاد، الرصيف ١'],
  ['metro', 'burjuman-gate', 'BurJuman gate hall', 'محطة برجمان، بهو البوابات'],
  ['metro', 'rashidiya-depot', '', 'مستودع الراشدية'],
  ['bus', 'gold-souq', 'Gold Souq bus station', 'محطة حافلات سوق الذهب'],
  ['bus', 'satwa', 'Satwa bus station', ''],
  ['bus', 'ghubaiba', 'Al Ghubaiba bus station', 'محطة حافلات الغبيبة'],
  ['taxi', 'rank-mall', 'Mall taxi rank', 'موقف سيارات الأجرة، المول'],
  ['taxi', 'rank-marina', 'Marina taxi rank', 'موقف سيارات الأجرة، المارينا'],
  ['taxi', 'rank-no-name', '', ''],
];

const ODD = {
  4: { state: 'offline', online: condition('False', 'ConnectionRefused') },
  5: { state: 'offline', online: condition('False', 'Unauthorized') },
  7: { state: 'online', publishing: condition('False', 'UnsupportedCodec') },
  8: { state: 'suspended', online: condition('False', 'Suspended') },
  10: { state: 'pending', online: condition('Unknown', 'Connecting') },
  11: { state: 'pending', agency: null, ready: condition('False', 'SourceNotFound'), online: condition('Unknown', 'SourceNotFound') },
};

function condition(status, reason) {
  return { status, reason, message: `mock: ${reason}` };
}

export function idOf(namespace, name) {
  const hex = createHash('sha1').update(`${namespace}/${name}`).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}

/** `count` cameras; those after the named ones are plain and online. */
export function mockCameras(count) {
  return Array.from({ length: count }, (_, index) => {
    const [namespace, name, en, ar] = NAMES[index] ?? ['city', `cam-${index}`, `Junction ${index}`, `تقاطع ${index}`];
    return {
      id: idOf(namespace, name),
      namespace,
      name,
      agency: namespace,
      display_name: { en, ar },
      state: 'online',
      online: condition('True', 'Online'),
      ready: condition('True', 'Configured'),
      publishing: null,
      shard: `ingest-default-${index % 2}`,
      codec: 'H264',
      width: 1280,
      height: 720,
      live_mode: 'OnDemand',
      ...ODD[index],
    };
  });
}
