// What make sdk asks of @hey-api/openapi-ts.
export default {
  input: process.env.KEHU_DOCUMENT,
  output: { path: "client", importFileExtension: ".js" },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
};
