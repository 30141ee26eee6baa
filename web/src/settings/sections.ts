export const SECTIONS = {
  identity: "You",
  security: "Security",
  notifications: "Notifications",
  keys: "API keys",
  webhooks: "Webhooks",
} as const;

export type SettingsSection = keyof typeof SECTIONS;

export function settingsSection(search: Record<string, unknown>): { section?: SettingsSection } {
  const { section } = search;
  return typeof section === "string" && Object.hasOwn(SECTIONS, section) ? { section: section as SettingsSection } : {};
}
