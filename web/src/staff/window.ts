/** What every window has. Its header is no banner: the page has one already. */
export const WINDOW = {
  closeButtonProps: { "aria-label": "Close" },
  attributes: { header: { role: "none" } },
};
