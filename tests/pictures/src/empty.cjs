// Stands for node's own modules, which a page has no use for.
module.exports = {};
