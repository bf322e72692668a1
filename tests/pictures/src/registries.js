// Fills the registries that a Grafana server's application fills: field options, reducers,
// transformations. All that they do is Grafana's.
import {
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  identityOverrideProcessor,
  standardEditorsRegistry,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';

const option = (id, process = identityOverrideProcessor, defaultValue = undefined) => ({
  id,
  path: id,
  name: id,
  description: '',
  editor: () => null,
  override: () => null,
  process,
  shouldApply: () => true,
  settings: {},
  defaultValue,
});

const green = { mode: 'absolute', steps: [{ value: -Infinity, color: 'green' }] };

export function fillRegistries() {
  standardFieldConfigEditorRegistry.setInit(() => [
    option('unit', unitOverrideProcessor),
    option('min'),
    option('max'),
    option('decimals'),
    option('displayName', displayNameOverrideProcessor),
    option('color', identityOverrideProcessor, { mode: 'thresholds' }),
    option('noValue'),
    option('links', dataLinksOverrideProcessor),
    option('mappings', valueMappingsOverrideProcessor, []),
    option('thresholds', thresholdsOverrideProcessor, green),
    option('filterable'),
  ]);
  standardEditorsRegistry.setInit(() => []);
  const { mergeTransformer, organizeFieldsTransformer, sortByTransformer } = standardTransformers;
  const known = [mergeTransformer, organizeFieldsTransformer, sortByTransformer];
  standardTransformersRegistry.setInit(() =>
    known.map((transformation) => ({
      id: transformation.id,
      name: transformation.name,
      transformation,
      editor: () => null,
    }))
  );
}
