DROP TABLE contact_person_relations;
DROP TABLE employments;
DROP TABLE contact_persons;
