// Colours of words that stand out. Each has a contrast of at least 4.5 to 1 in both themes.

export const BAD = "var(--mantine-color-error)";
export const GOOD = "var(--mantine-color-green-light-color)";
