import { describe, expect, it } from 'vitest';

import type { CameraView } from '../api/types';
import { camera } from '../testing/cameras';
import { agenciesOf, type Filter, filterCameras, fold, NO_FILTER } from './filter';
import { displayName } from './names';

const CAMERAS = [
  camera('gate', { display_name: { en: 'North Gate 12', ar: 'البوابة الشمالية ١٢' } }),
  camera('depot', { agency: 'metro', state: 'offline', display_name: { ar: 'مستودع الأنفاق' } }),
  camera('new', { agency: null, state: 'pending', display_name: null }),
];
const map = new Map(CAMERAS.map((view) => [view.id, view]));
const filtered = (filter: Partial<Filter>) =>
  filterCameras(CAMERAS.map(({ id }) => id), map, { ...NO_FILTER, ...filter });

describe('the list of cameras', () => {
  it.each<[Partial<Filter>, string[]]>([
    [{}, ['id-gate', 'id-depot', 'id-new']],
    [{ search: 'GATE north' }, ['id-gate']],
    [{ search: '  ' }, ['id-gate', 'id-depot', 'id-new']],
    [{ search: 'البوابه ١٢' }, ['id-gate']],
    [{ search: 'بوابة 12' }, ['id-gate']],
    [{ search: 'الانفاق' }, ['id-depot']],
    [{ search: 'metro' }, ['id-depot']],
    [{ search: 'police/new' }, ['id-new']],
    [{ search: 'nothing' }, []],
    [{ agency: 'police' }, ['id-gate']],
    [{ agency: '' }, ['id-new']],
    [{ state: 'offline' }, ['id-depot']],
    [{ state: 'offline', agency: 'police' }, []],
  ])('%j', (filter, ids) => {
    expect(filtered(filter).ids).toEqual(ids);
  });

  it('counts what each state would show under the same search and agency', () => {
    expect(filtered({ state: 'offline' }).counts).toEqual({ online: 1, offline: 1, pending: 1, suspended: 0 });
    expect(filtered({ agency: 'metro' }).counts).toEqual({ online: 0, offline: 1, pending: 0, suspended: 0 });
  });

  it('names each agency once', () => {
    expect(agenciesOf(map)).toEqual(['', 'metro', 'police']);
  });
});

it('takes for the same what a reader takes for the same', () => {
  expect(fold('مَرْكَــز إدارةُ')).toBe(fold('مركز اداره'));
  expect(fold('مستشفى')).toBe(fold('مستشفي'));
});

describe('the name of a camera', () => {
  it.each<[NonNullable<CameraView['display_name']> | null, string, string]>([
    [{ ar: 'بوابة', en: 'Gate' }, 'بوابة', 'Gate'],
    [{ en: 'Gate' }, 'Gate', 'Gate'],
    [{ ar: 'بوابة', en: ' ' }, 'بوابة', 'بوابة'],
    [null, 'police/x', 'police/x'],
  ])('%j', (names, ar, en) => {
    const view = camera('x', { display_name: names });
    expect([displayName(view, 'ar'), displayName(view, 'en')]).toEqual([ar, en]);
  });
});
