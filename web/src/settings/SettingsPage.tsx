import { Tabs } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { PageTitle } from "../ui/PageTitle";
import { ApiKeys } from "./ApiKeys";
import { Identity } from "./Identity";
import { NotificationChoices } from "./NotificationChoices";
import { Security } from "./Security";
import { SECTIONS, type SettingsSection } from "./sections";
import { Webhooks } from "./Webhooks";

const route = getRouteApi("/customers/settings");

const SHOWN: Record<SettingsSection, () => React.ReactNode> = {
  identity: Identity,
  security: Security,
  notifications: NotificationChoices,
  keys: ApiKeys,
  webhooks: Webhooks,
};

export function SettingsPage() {
  const { section = "identity" } = route.useSearch();
  const navigate = route.useNavigate();
  return (
    <>
      <PageTitle title="Settings" says="You, how you sign in, and who else may act for you." />
      <Tabs
        value={section}
        onChange={(chosen) => chosen && navigate({ search: { section: chosen as SettingsSection } })}
        keepMounted={false}
      >
        <Tabs.List mb="lg">
          {Object.entries(SECTIONS).map(([name, label]) => (
            <Tabs.Tab key={name} value={name}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {Object.entries(SHOWN).map(([name, Shown]) => (
          <Tabs.Panel key={name} value={name}>
            <Shown />
          </Tabs.Panel>
        ))}
      </Tabs>
    </>
  );
}
