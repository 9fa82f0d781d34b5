// Shows the OpenAPI document in Swagger UI; both come from this endpoint.

// Behind a stage the path is /Prod/docs, maybe with a slash at its end. All addresses start with the part before `docs`.
const base = location.pathname.replace(/\/docs\/*$/, "/");

const style = document.createElement("link");
style.rel = "stylesheet";
style.href = `${base}docs/swagger-ui.css`;

const script = document.createElement("script");
script.src = `${base}docs/swagger-ui-bundle.js`;
script.onload = async () => {
  const spec = await (await fetch(`${base}openapi.json`)).json();
  // "Try it out" sends requests through the same stage.
  spec.servers = [{ url: location.origin + base.replace(/\/$/, "") }];
  window.SwaggerUIBundle({ spec, dom_id: "#docs", deepLinking: true, defaultModelsExpandDepth: 0, validatorUrl: "none" });
};

document.head.append(style, script);
