/** The few icons, drawn here: strokes of the text's colour on a 16-unit square. Decoration only: name the control itself. */
const PATHS = {
  chain: 'M6.5 9.5l3-3M5 7 3.4 8.6a2.8 2.8 0 0 0 4 4L9 11m2-2 1.6-1.6a2.8 2.8 0 0 0-4-4L7 5',
  overview: 'M2.5 2.5h4.5v6H2.5zM9 2.5h4.5v3.5H9zM9 8.5h4.5v5H9zM2.5 11h4.5v2.5H2.5z',
  blocks: 'M8 1.8l5.5 3v6.4L8 14.2l-5.5-3V4.8zM2.5 4.8 8 7.8l5.5-3M8 7.8v6.4',
  data: 'M2.5 4c0-1.1 2.5-2 5.5-2s5.5.9 5.5 2-2.5 2-5.5 2-5.5-.9-5.5-2zm0 0v8c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2V4m-11 4c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2',
  models: 'M8 2v3m0 6v3M2 8h3m6 0h3M3.8 3.8l2 2m4.4 4.4 2 2m0-8.4-2 2m-4.4 4.4-2 2',
  chat: 'M2.5 3h11v8H7l-3.2 2.6V11H2.5z',
  rewards:
    'M8 2v12M11 4.6C10.4 3.7 9.3 3.3 8 3.3c-1.8 0-3 .9-3 2.2 0 3.3 6.3 1.5 6.3 4.9 0 1.4-1.4 2.3-3.3 2.3-1.5 0-2.7-.5-3.3-1.5',
  agents:
    'M3.5 6.5h9v6.5h-9zM8 6.5V3.8M8 3.6a.9.9 0 1 0 0-1.8.9.9 0 0 0 0 1.8M6 9.5h.01M10 9.5h.01',
  market: 'M8.5 2.5h5v5l-6 6-5-5zM11 5h.01',
  bridge: 'M1.5 11.5h13M3.5 11.5V5m9 6.5V5M3.5 5c0 2.5 2 4 4.5 4s4.5-1.5 4.5-4M8 9v2.5',
  vote: 'M2.5 9.5v4h11v-4M8 2v7M5.5 6.5 8 9l2.5-2.5',
  network:
    'M8 5.5a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6zm-4.5 8.5a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6zm9 0a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6zM7.2 5.3 4.5 10.5m4.3-5.2 2.7 5.2m-6.2 1.7h5.4',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zm3.3-1.2 3.2 3.2',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  check: 'M3 8.5l3.3 3.3L13 5',
  close: 'M3.5 3.5l9 9m0-9-9 9',
  menu: 'M2 4h12M2 8h12M2 12h12',
  sun: 'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.5v1.3m0 10.4v1.3M1.5 8h1.3m10.4 0h1.3M3.4 3.4l.9.9m7.4 7.4.9.9m0-9.2-.9.9m-7.4 7.4-.9.9',
  moon: 'M13.5 9.8A6 6 0 0 1 6.2 2.5a5.8 5.8 0 1 0 7.3 7.3z',
  auto: 'M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12',
  wallet: 'M2.5 4.5h10v9h-10zM2.5 4.5l7.5-2.5v2.5M10 9h.01M12.5 7.2H9.4v3.6h3.1',
  warn: 'M8 2 1.8 13.2h12.4zM8 6.5v3.2m0 1.8h.01',
  out: 'M9.5 2.5h4v4m0-4-6 6M7 3H2.5v10.5H13V9',
  arrow: 'M3 8h10m-3.5-3.5L13 8l-3.5 3.5',
  back: 'M13 8H3m3.5-3.5L3 8l3.5 3.5',
  inbox: 'M2.5 9.5 4.5 3h7l2 6.5v4h-11zm0 0h3l1 1.8h3l1-1.8h3',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      aria-hidden="true"
      focusable="false"
    >
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.4"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  )
}
