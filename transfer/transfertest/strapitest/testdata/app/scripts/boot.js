// Runs a function with the application of the current folder loaded but not listening, then ends the process.
const { compileStrapi, createStrapi } = require('@strapi/strapi');

module.exports = async function boot(work) {
  try {
    const strapi = await createStrapi(await compileStrapi()).load();
    await work(strapi);
    await strapi.destroy();
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
};
