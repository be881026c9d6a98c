import type { CameraState, CameraView } from '../api/types';

export interface Filter {
  search: string;
  /** Null: all. The empty string: those whose agency is not known yet. */
  agency: string | null;
  state: CameraState | null;
}

export const NO_FILTER: Filter = { search: '', agency: null, state: null };

export const CAMERA_STATES: readonly CameraState[] = ['online', 'offline', 'pending', 'suspended'];

export interface Filtered {
  ids: readonly string[];
  /** Cameras a state filter would show, with the search and the agency as they are. */
  counts: Readonly<Record<CameraState, number>>;
}

/** The cameras to list, in order; pure. A search matches names in both languages, the object's and the agency's. */
export function filterCameras(
  order: readonly string[],
  cameras: ReadonlyMap<string, CameraView>,
  filter: Filter,
): Filtered {
  const words = fold(filter.search).split(/\s+/).filter((word) => word !== '');
  const counts: Record<CameraState, number> = { online: 0, offline: 0, pending: 0, suspended: 0 };
  const ids: string[] = [];
  for (const id of order) {
    const camera = cameras.get(id);
    if (!camera) continue;
    if (filter.agency !== null && (camera.agency ?? '') !== filter.agency) continue;
    if (words.length > 0) {
      const text = searchText(camera);
      if (!words.every((word) => text.includes(word))) continue;
    }
    counts[camera.state] += 1;
    if (filter.state === null || camera.state === filter.state) ids.push(id);
  }
  return { ids, counts };
}

export function agenciesOf(cameras: ReadonlyMap<string, CameraView>): string[] {
  return [...new Set([...cameras.values()].map((camera) => camera.agency ?? ''))].sort();
}

function searchText(camera: CameraView): string {
  const { display_name: names, namespace, name, agency } = camera;
  return fold([names?.ar, names?.en, `${namespace}/${name}`, agency].filter(Boolean).join('\n'));
}

/**
 * What a reader takes for the same text: case, Arabic vowel signs and tatweel, the forms of alef, yeh and teh
 * marbuta, and the digits of both scripts.
 */
export function fold(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[\p{M}\u0640]/gu, '')
    .replace(/[\u0622\u0623\u0625\u0671]/g, '\u0627')
    .replace(/\u0649/g, '\u064a')
    .replace(/\u0629/g, '\u0647')
    .replace(/[\u0660-\u0669]/g, (digit) => String(digit.charCodeAt(0) - 0x660))
    .replace(/[\u06f0-\u06f9]/g, (digit) => String(digit.charCodeAt(0) - 0x6f0))
    .toLowerCase();
}
