// Swagger UI over the OpenAPI document, from this function's own routes.

// Behind a stage the path is /Prod/docs, and may have a slash at its end: everything is named from what stands before `docs`.
const base = location.pathname.replace(/\/docs\/*$/, "/");

const style = document.createElement("link");
style.rel = "stylesheet";
style.href = `${base}docs/swagger-ui.css`;

const script = document.createElement("script");
script.src = `${base}docs/swagger-ui-bundle.js`;
script.onload = async () => {
  const spec = await (await fetch(`${base}openapi.json`)).json();
  // So that "Try it out" goes through the same stage.
  spec.servers = [{ url: location.origin + base.replace(/\/$/, "") }];
  window.SwaggerUIBundle({ spec, dom_id: "#docs", deepLinking: true, defaultModelsExpandDepth: 0, validatorUrl: "none" });
};

document.head.append(style, script);
