/** The bar between GraphiQL and the inspector: dragged or moved by arrow keys, remembered. */
import { useState, type CSSProperties, type HTMLAttributes, type KeyboardEvent, type PointerEvent } from 'react';

const STORAGE_KEY = 'switchboard:inspector-width';
/** Percent of the window. */
const DEFAULT_WIDTH = 32;
const NARROWEST = 15;
const WIDEST = 70;
const ARROW_STEP = 2;

interface Divider {
  handle: HTMLAttributes<HTMLElement>;
  style: CSSProperties;
}

export function useDivider(): Divider {
  const [width, setWidth] = useState(rememberedWidth);
  const move = (wanted: number) => {
    const allowed = Math.min(WIDEST, Math.max(NARROWEST, wanted));
    setWidth(allowed);
    remember(allowed);
  };
  return {
    handle: {
      role: 'separator',
      tabIndex: 0,
      'aria-label': 'Width of the plan panel',
      'aria-orientation': 'vertical',
      'aria-valuenow': Math.round(width),
      'aria-valuemin': NARROWEST,
      'aria-valuemax': WIDEST,
      onPointerDown: (event) => event.currentTarget.setPointerCapture(event.pointerId),
      onPointerMove: (event) => draggedTo(event, move),
      onKeyDown: (event) => steppedTo(event, width, move),
    },
    style: { '--inspector-width': `${width}%` } as CSSProperties,
  };
}

function draggedTo(event: PointerEvent<HTMLElement>, move: (width: number) => void) {
  if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
  move(100 * (1 - event.clientX / window.innerWidth));
}

function steppedTo(event: KeyboardEvent, width: number, move: (width: number) => void) {
  if (event.key === 'ArrowLeft') move(width + ARROW_STEP);
  if (event.key === 'ArrowRight') move(width - ARROW_STEP);
}

/** Storage may be forbidden, or hold what a person wrote by hand. */
function rememberedWidth(): number {
  try {
    const width = Number(localStorage.getItem(STORAGE_KEY));
    return width >= NARROWEST && width <= WIDEST ? width : DEFAULT_WIDTH;
  } catch {
    return DEFAULT_WIDTH;
  }
}

function remember(width: number) {
  try {
    localStorage.setItem(STORAGE_KEY, String(width));
  } catch {
    // The width then lasts until the page is left.
  }
}
