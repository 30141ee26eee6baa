// The few pictures of these pages, drawn on 24 by 24. They decorate: the words beside them say what they mean.

const PATHS = {
  home: "M4 11l8-7 8 7v9h-5v-6H9v6H4z",
  send: "M4 9h14l-4-4M20 15H6l4 4",
  list: "M5 6h14M5 12h14M5 18h9",
  again: "M4 12a8 8 0 0114-5l2 2M20 4v5h-5M20 12a8 8 0 01-14 5l-2-2M4 20v-5h5",
  stack: "M12 3l9 5-9 5-9-5zM3 12l9 5 9-5M3 16l9 5 9-5",
  page: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
  flag: "M6 21V4h11l-2 4 2 4H6",
  gauge: "M4 18a9 9 0 1116 0M12 15l4-5",
  bell: "M6 17V11a6 6 0 0112 0v6l1.5 1.5h-15zM10 21h4",
  gear: "M12 15.5a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2",
  sun: "M12 16a4 4 0 100-8 4 4 0 000 8zM12 3v1M12 20v1M3 12h1M20 12h1M5.6 5.6l.7.7M17.7 17.7l.7.7M5.6 18.4l.7-.7M17.7 6.3l.7-.7",
  moon: "M20 14A8.5 8.5 0 0110 4a8.5 8.5 0 1010 10z",
  in: "M17 7L7 17M7 9v8h8",
  out: "M7 17L17 7M9 7h8v8",
  leave: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      style={{ flexShrink: 0 }}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
