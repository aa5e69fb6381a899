import { render } from "preact";
import { App } from "./app.js";
import { applyTheme, readRoute, route, start } from "./state.js";
import "uplot/dist/uPlot.min.css";
import "./styles.css";

applyTheme();
addEventListener("hashchange", () => {
  route.value = readRoute();
});
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
void start();
