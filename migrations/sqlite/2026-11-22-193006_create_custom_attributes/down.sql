DROP TABLE custom_attributes;
DROP TABLE attribute_definitions;
