import { describe, expect, it } from 'vitest';

import { add, EMPTY, LARGEST, type LayoutChoice, remove, settle, shownSize, type Slots, tilesOf } from './layout';
import { createWallStore } from './wall-store';

const names = (count: number) => Array.from({ length: count }, (_, index) => `c${index}`);

function wallOf(count: number, choice: LayoutChoice = 'auto') {
  let wall = { slots: EMPTY, choice };
  for (const name of names(count)) wall = add(wall.slots, wall.choice, name) ?? wall;
  return wall;
}

const head = (slots: Slots, count: number) => slots.slice(0, count);

describe('the layout of the wall', () => {
  it.each([[0, 1], [1, 1], [2, 4], [4, 4], [5, 9], [9, 9], [10, 16], [16, 16]])('of %i tiles has %i slots', (count, size) => {
    const { slots } = wallOf(count);
    expect(shownSize(slots, 'auto')).toBe(size);
    expect(tilesOf(slots)).toEqual(names(count));
  });

  it('takes sixteen tiles and no more', () => {
    expect(add(wallOf(LARGEST).slots, 'auto', 'late')).toBeNull();
  });

  it('that was chosen grows when it is full, and not before', () => {
    expect(wallOf(4, 4).choice).toBe(4);
    expect(wallOf(5, 4).choice).toBe(9);
    expect(wallOf(1, 16).choice).toBe(16);
  });

  it('leaves every tile where it is when one goes, and fills the free slot first', () => {
    const slots = remove(wallOf(4, 4).slots, 4, 'c1');
    expect(head(slots, 4)).toEqual(['c0', null, 'c2', 'c3']);
    expect(head(add(slots, 4, 'new')?.slots ?? [], 4)).toEqual(['c0', 'new', 'c2', 'c3']);
  });

  it('moves only the tiles that would be outside of a smaller one', () => {
    let { slots } = wallOf(5);
    slots = remove(slots, 'auto', 'c1');
    expect(head(slots, 5)).toEqual(['c0', 'c4', 'c2', 'c3', null]);
    expect(settle(slots, 4)).toBe(slots);
  });
});

describe('the wall', () => {
  it('points at a camera that is there already instead of showing it twice', () => {
    const wall = createWallStore();
    expect(wall.add('a')).toBe('added');
    expect(wall.add('a')).toBe('present');
    expect(wall.add('a')).toBe('present');
    expect(tilesOf(wall.getState().slots)).toEqual(['a']);
    expect(wall.getState().pointed).toEqual({ cameraId: 'a', turn: 2 });
  });

  it('says when it is full', () => {
    const wall = createWallStore();
    for (const name of names(16)) wall.add(name);
    expect(wall.add('late')).toBe('full');
  });

  it('does not take a layout that is too small', () => {
    const wall = createWallStore();
    for (const name of names(5)) wall.add(name);
    wall.choose(4);
    expect(wall.getState().choice).toBe('auto');
    wall.choose(16);
    expect(wall.getState().choice).toBe(16);
  });

  it('is no longer maximised when the tile goes or another comes', () => {
    const wall = createWallStore();
    wall.add('a');
    wall.toggleMaximised('a');
    expect(wall.getState().maximised).toBe('a');
    wall.add('b');
    expect(wall.getState().maximised).toBeNull();
    wall.toggleMaximised('b');
    wall.remove('b');
    expect(wall.getState().maximised).toBeNull();
    wall.toggleMaximised('a');
    wall.toggleMaximised('a');
    expect(wall.getState().maximised).toBeNull();
  });
});
