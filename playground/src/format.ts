/** Quantities as a person reads them. */

export function formatMicros(micros: number): string {
  if (micros < 1_000) return `${Math.round(micros)} µs`;
  if (micros < 1_000_000) return `${shortNumber(micros / 1_000)} ms`;
  return `${shortNumber(micros / 1_000_000)} s`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${shortNumber(bytes / 1_000)} kB`;
  return `${shortNumber(bytes / 1_000_000)} MB`;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** One decimal below 100, none above; never a bare `.0`. */
function shortNumber(value: number): string {
  return value < 100 ? String(Math.round(value * 10) / 10) : String(Math.round(value));
}
