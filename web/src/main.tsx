import "./ui/components.css";
import "@mantine/notifications/styles.css";
import "./ui/page.css";
import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { cache } from "./api/cache";
import { whenSignedOut } from "./api/session";
import { router } from "./router";
import { theme, variables } from "./ui/theme";

// A session that has ended leads to the sign-in, and from there back to where one was.
whenSignedOut(() => {
  cache.clear();
  const { pathname, href } = router.state.location;
  if (pathname !== "/login") router.navigate({ to: "/login", search: { next: href } });
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has a root");
createRoot(root).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      cssVariablesResolver={variables}
      defaultColorScheme="auto"
      colorSchemeManager={localStorageColorSchemeManager({ key: "remit-theme" })}
    >
      <Notifications position="top-right" autoClose={8000} limit={4} />
      <QueryClientProvider client={cache}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
