// What a Grafana server would have put into its page; has to be there before its libraries load.
window.grafanaBootData = {
  user: { timezone: 'utc', locale: 'en-US', permissions: {} },
  settings: {
    featureToggles: {},
    buildInfo: { version: '12.4.10' },
    datasources: {},
    panels: {},
    apps: {},
    defaultDatasource: 'prometheus',
    bootData: {},
  },
  navTree: [],
};
