// Colours and sizes. Text has a contrast of at least 4.5 to 1 in both themes (WCAG 2.2, 1.4.3).

import { Anchor, type CSSVariablesResolver, createTheme, Notification } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "indigo",
  primaryShade: { light: 8, dark: 8 },
  defaultRadius: "md",
  cursorType: "pointer",
  // Who asks the system for less motion gets windows that open and close at once (WCAG 2.2, 2.3.3).
  respectReducedMotion: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  headings: { fontWeight: "650" },
  components: {
    // A link in a sentence differs from its words by more than its colour.
    Anchor: Anchor.extend({ defaultProps: { underline: "always" } }),
    Notification: Notification.extend({
      defaultProps: { withBorder: true, closeButtonProps: { "aria-label": "Close" } },
    }),
  },
});

export const variables: CSSVariablesResolver = (found) => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": found.colors.gray[7],
    "--mantine-color-error": found.colors.red[9],
    "--mantine-color-placeholder": found.colors.gray[6],
    "--mantine-color-anchor": found.colors.indigo[8],
    "--mantine-color-green-light-color": "#1b5e28",
    "--mantine-color-red-light-color": "#a51111",
    "--mantine-color-yellow-light-color": "#7a4a00",
    "--mantine-color-blue-light-color": "#0b4a8a",
    "--mantine-color-gray-light-color": "#343a40",
    "--mantine-color-indigo-light-color": "#2f44ad",
  },
  dark: {
    "--mantine-color-text": "#e4e4e4",
    "--mantine-color-dimmed": found.colors.dark[1],
    "--mantine-color-error": found.colors.red[4],
    "--mantine-color-anchor": found.colors.indigo[3],
  },
});
